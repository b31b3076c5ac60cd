"""Writes a shared policy: the part of a checkpoint that can be given to others.

It is a small checkpoint: networks, ``policy.json`` and a few records. It plays, dreams and is
exported like the complete one, and a new run can start with its networks. Optimizers, counters and
RLlib's pickles are left out, and so are the paths of the machine on which it was trained.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from rllib_dreamerv3.agent.networks.model import Weights
from rllib_dreamerv3.agent.networks.saved import (
    read_saved_networks,
    read_weights,
    require_world_model,
)
from rllib_dreamerv3.checkpoints import manifest, policy_file, tensors
from rllib_dreamerv3.checkpoints.directory import replacing
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE, REPLAY_DIRECTORY
from rllib_dreamerv3.checkpoints.manifest import files_of_shared
from rllib_dreamerv3.options.table import EvaluationAction
from rllib_dreamerv3.records import RecordChunk
from rllib_dreamerv3.replay import checkpoint as replay_checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer
from rllib_dreamerv3.replay.saved_sequences import verified_sequences

# Options that may contain paths of the machine. They have no effect on acting.
_PRIVATE = ("start_checkpoint", "replay_buffer_config")


def write_shared_policy(
    checkpoint: Path, out: Path, *, records: int, action: EvaluationAction | None = None
) -> None:
    """Write the shared policy of a checkpoint. No code from it is executed.

    Networks are rounded to float16, which halves their size.

    Args:
        checkpoint: The checkpoint.
        out: Directory to write. Another shared policy is replaced; other files are kept.
        records: Maximum number of records, the newest of replay, from which dreams start.
        action: How it acts by default, "sample" or "mode"; None for the checkpoint's
            ``evaluation_action``.

    Raises:
        CheckpointError: If the checkpoint is damaged, is only an exported policy, or has no
            records; if ``out`` has other content; or if a number is too large for float16.
        OSError: If writing failed.
    """
    require_world_model(checkpoint)
    saved, listed = read_saved_networks(checkpoint), manifest.read(checkpoint)
    options = {name: x for name, x in saved.policy.options.items() if name not in _PRIVATE}
    if action is not None:
        options["evaluation_action"] = action
    weights = _rounded(read_weights(checkpoint))
    with replacing(out, files_of_shared) as folder:
        policy_file.write(folder, replace(saved.policy, env_directory=None, options=options))
        tensors.save(folder / NETWORKS_FILE, weights)
        _copy_records(checkpoint, folder / REPLAY_DIRECTORY, records)
        manifest.write(
            folder,
            env_steps=listed.env_steps,
            updates=listed.updates,
            iteration=listed.iteration,
        )


def _rounded(weights: Weights) -> Weights:
    with np.errstate(over="ignore"):  # Saving rejects infinite numbers.
        return {name: array.astype(np.float16) for name, array in weights.items()}


def _copy_records(checkpoint: Path, out: Path, most: int) -> None:
    saved = verified_sequences(checkpoint)
    newest = saved.newest(most)
    columns = {name: x[0] for name, x in saved.read([newest], list(saved.specs)).items()}
    buffer = ReplayBuffer(length=1, capacity_records=len(newest), seed=0)
    buffer.add(RecordChunk("shared", 0, columns))
    replay_checkpoint.save(buffer, out)
