"""Compares the memory and disk space that replay needs with what is available."""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.records import (
    ACTION,
    ACTION_MASK,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    LATENT_H,
    LATENT_INDEX,
    REWARD,
)
from rllib_dreamerv3.replay.column_specs import ColumnSpec, Specs, bytes_of
from rllib_dreamerv3.replay.column_storage import in_files
from rllib_dreamerv3.replay.memory import (
    DEFAULT_SHARE,
    TIGHT_SHARE,
    ReplayNeed,
    check_space,
    free_bytes,
    gigabytes,
)
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout
from rllib_dreamerv3.startup.system import machine_memory

# Kept by the command by default, plus the one it writes before deleting the oldest.
CHECKPOINTS = 3

logger = logging.getLogger(__name__)


class ReplayCapacity(NamedTuple):
    """The size of a full replay buffer, and the space for it.

    Attributes:
        need: Size when full: of the files, if there are any, else in memory.
        available_bytes: Free bytes on the disk of the files, or this machine's memory.
        directory: Directory of the files; None without files.
    """

    need: ReplayNeed
    available_bytes: int
    directory: Path | None

    def metrics(self) -> dict[str, float]:
        """Return records and bytes when full, and bytes available on this machine or disk."""
        medium = "machine" if self.directory is None else "disk"
        return {
            "num_records_at_capacity": float(self.need.records),
            "num_bytes_at_capacity": float(self.need.bytes),
            "num_bytes_of_checkpoint": float(self.need.checkpoint_bytes),
            f"num_bytes_of_{medium}": float(self.available_bytes),
        }


def record_specs(
    observations: ObservationLayout,
    actions: ActionLayout,
    latents_of: ModelSettings | None,
) -> Specs:
    """Derive dtypes and shapes of record columns from the spaces, see ``records.py``.

    Args:
        observations: Of one environment.
        actions: Of one environment.
        latents_of: Settings of the model whose latents are stored; None if none are.

    Returns:
        Column name -> dtype and shape of one record.
    """
    flag, number = ColumnSpec(np.dtype(np.bool_), ()), ColumnSpec(np.dtype(np.float32), ())
    specs = {leaf.key: ColumnSpec(np.dtype(leaf.dtype), leaf.shape) for leaf in observations.leaves}
    specs |= {REWARD: number, ACTION: ColumnSpec(number.dtype, (actions.size,))}
    specs |= dict.fromkeys((IS_FIRST, IS_LAST, IS_TERMINAL), flag)
    if actions.masked:
        specs[ACTION_MASK] = ColumnSpec(np.dtype(np.uint8), (len(actions.mask_positions),))
    if latents_of is not None:
        specs[LATENT_H] = ColumnSpec(number.dtype, (latents_of.deterministic,))
        specs[LATENT_INDEX] = ColumnSpec(np.dtype(np.uint8), (latents_of.categoricals,))
    return specs


def specs_of_module(module: DreamerV3RLModule, context: int) -> Specs:
    """Return the :func:`record_specs` of the records that a module learns from.

    Args:
        module: Has the layouts and settings.
        context: ``replay_context``; latents are stored only if it is positive.
    """
    latents_of = module.settings if context else None
    return record_specs(module.observations.layout, module.actions.layout, latents_of)


def replay_need(config: DreamerV3Config, specs: Specs) -> ReplayNeed:
    """Return the size of a full replay buffer, in memory and on disk together.

    Args:
        config: Has the limits; ``capacity_bytes`` "auto" becomes a number here.
        specs: Record columns, see :func:`specs_of_module`.
    """
    options = config.replay_buffer_options()
    record_bytes, limit = bytes_of(specs), options["capacity_bytes"]
    if limit == "auto":
        filed_bytes = bytes_of(in_files(specs)) if options["storage"] == "disk" else 0
        records = int(DEFAULT_SHARE * machine_memory()) // (record_bytes - filed_bytes)
        # No less than learning needs: that is an error if it does not fit.
        limit = max(records, config.records_to_start) * record_bytes
    return ReplayNeed(options["capacity"], record_bytes, limit, record_bytes)


def replay_capacities(
    config: DreamerV3Config, specs: Specs, directory: Path | None
) -> list[ReplayCapacity]:
    """Return the size of a full replay buffer and the available space, by medium.

    Args:
        config: Has the limits.
        specs: Record columns, see :func:`record_specs`.
        directory: Directory for the files of large columns; None to keep all in memory.

    Returns:
        Memory, and last the disk of the files if there are any.
    """
    need = replay_need(config, specs)
    if directory is None:
        return [ReplayCapacity(need, machine_memory(), None)]
    filed_bytes = bytes_of(in_files(specs))
    # The small columns stay in memory.
    in_memory = need._replace(share_bytes=need.record_bytes - filed_bytes)
    on_disk = need._replace(share_bytes=filed_bytes)
    return [
        ReplayCapacity(in_memory, machine_memory(), None),
        ReplayCapacity(on_disk, free_bytes(directory), directory),
    ]


def check_replay_capacity(
    config: DreamerV3Config, specs: Specs, directory: Path | None
) -> ReplayCapacity:
    """Log the size of a full replay buffer, as a warning if it takes most of the space.

    Checkpoints contain replay too. Since their number and directory are not known here, they are
    logged but never a reason to reject a config.

    Args:
        config: Has the limits.
        specs: Record columns, see :func:`specs_of_module`.
        directory: Directory for the files of large columns; None to keep all in memory.

    Returns:
        The size and the available space.

    Raises:
        ConfigError: If replay does not fit.
    """
    *others, capacity = replay_capacities(config, specs, directory)
    need, options = capacity.need, config.replay_buffer_options()
    if options["capacity_bytes"] == "auto" and need.records < need.capacity:
        logger.warning(
            "Replay is limited to %s records, for which half of this machine's memory suffices, "
            "instead of %s. Set capacity, capacity_bytes or storage in replay_buffer_config for "
            "another limit.",
            f"{need.records:,}",
            f"{need.capacity:,}",
        )
    for other in others:
        _check(other)
    # Files in the run's directory share the disk with its checkpoints.
    beside = directory is not None and options["directory"] is None
    _check(capacity, checkpoints_beside=beside)
    logger.info(
        "Each checkpoint needs up to %s of disk for replay; `rllib train` keeps %d and writes "
        "another before it deletes the oldest one.",
        gigabytes(need.checkpoint_bytes),
        CHECKPOINTS - 1,
    )
    return capacity


def _check(capacity: ReplayCapacity, checkpoints_beside: bool = False) -> None:
    tight = check_space(*capacity)
    message = capacity.need.describe(capacity.available_bytes, capacity.directory)
    if checkpoints_beside:
        needed = capacity.need.bytes + CHECKPOINTS * capacity.need.checkpoint_bytes
        tight |= needed > TIGHT_SHARE * capacity.available_bytes
        message += f" With {CHECKPOINTS} checkpoints on the same disk it is {gigabytes(needed)}."
    logger.log(
        logging.WARNING if tight else logging.INFO,
        "%s Limit it with capacity_bytes in replay_buffer_config.",
        message,
    )
