"""What replay is going to need with these spaces, and whether there is room for it."""

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
    TIGHT_SHARE,
    ReplayNeed,
    check_room,
    free_bytes,
    gigabytes,
    machine_memory,
)
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout

# What the command keeps by default, and the one that it writes before an older one goes.
CHECKPOINTS = 3

logger = logging.getLogger(__name__)


class ReplayRoom(NamedTuple):
    """What replay is going to need, and what there is.

    Attributes:
        need: What it holds when it is full: of its files, if it has any, else of memory.
        room_bytes: What is free on their disk, or the memory of this machine.
        directory: Where its files are; None if it has none.
    """

    need: ReplayNeed
    room_bytes: int
    directory: Path | None

    def metrics(self) -> dict[str, float]:
        """``num_bytes_at_capacity``, in a checkpoint too, and of the machine or of the disk."""
        place = "machine" if self.directory is None else "disk"
        return {
            "num_bytes_at_capacity": float(self.need.bytes),
            "num_bytes_of_checkpoint": float(self.need.checkpoint_bytes),
            f"num_bytes_of_{place}": float(self.room_bytes),
        }


def record_specs(
    observations: ObservationLayout,
    actions: ActionLayout,
    latents_of: ModelSettings | None,
) -> Specs:
    """What records look like before there is one, see ``records.py``.

    Args:
        observations: Of one environment.
        actions: Of one environment.
        latents_of: The model whose latents are stored; None if none are.

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


def specs_of(module: DreamerV3RLModule, context: int) -> Specs:
    """What records look like that a module learns from.

    Args:
        module: Knows the spaces.
        context: ``replay_context``; without one no latents are stored.
    """
    latents_of = module.settings if context else None
    return record_specs(module.observations.layout, module.actions.layout, latents_of)


def check_replay_room(config: DreamerV3Config, specs: Specs, directory: Path | None) -> ReplayRoom:
    """Logs what replay is going to need: as a warning where that is much of what there is.

    Checkpoints hold replay too. How many are kept, and where, is not known here, so that is said
    and nothing refused because of them.

    Args:
        config: Holds its capacity.
        specs: What records look like, see :func:`specs_of`.
        directory: Where large columns are kept in files; None to keep all in memory.

    Returns:
        The need and the room.

    Raises:
        ConfigError: If it cannot fit.
    """
    options = config.replay_buffer_options()
    record_bytes = bytes_of(specs)
    need = ReplayNeed(options["capacity"], record_bytes, options["capacity_bytes"], record_bytes)
    room = ReplayRoom(need, machine_memory(), None)
    if directory is not None:
        filed_bytes = bytes_of(in_files(specs))
        # The small columns stay in memory.
        _check(room._replace(need=need._replace(share_bytes=record_bytes - filed_bytes)))
        room = ReplayRoom(need._replace(share_bytes=filed_bytes), free_bytes(directory), directory)
    # Files in the run's directory are on one disk with its checkpoints.
    beside = directory is not None and options["directory"] is None
    _check(room, checkpoints_beside=beside)
    logger.info(
        "Each checkpoint needs up to %s of disk for replay; `rllib train` keeps %d and writes "
        "another before the oldest one goes.",
        gigabytes(need.checkpoint_bytes),
        CHECKPOINTS - 1,
    )
    return room


def _check(room: ReplayRoom, checkpoints_beside: bool = False) -> None:
    tight = check_room(*room)
    words = room.need.in_words(room.room_bytes, room.directory)
    if checkpoints_beside:
        needed = room.need.bytes + CHECKPOINTS * room.need.checkpoint_bytes
        tight |= needed > TIGHT_SHARE * room.room_bytes
        words += f" With {CHECKPOINTS} checkpoints on the same disk it is {gigabytes(needed)}."
    logger.log(
        logging.WARNING if tight else logging.INFO,
        "%s capacity_bytes in replay_buffer_config bounds it.",
        words,
    )
