"""Starts of dreams: model states at records of a checkpoint's replay."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from rllib_dreamerv3.agent.networks.saved import SavedNetworks
from rllib_dreamerv3.checkpoints.files import REPLAY_DIRECTORY
from rllib_dreamerv3.dream_env.dynamics import Dynamics, Latents
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import ACTION_MASK, IS_TERMINAL, Columns
from rllib_dreamerv3.replay.saved_sequences import SavedSequences
from rllib_dreamerv3.reports.checkpoint_dream import read_sequences

Begin = Literal["anywhere", "first"]


class Starts(NamedTuple):
    """M records from which dreams start.

    Attributes:
        latents: Posterior states of the records, ``[M, ...]``.
        columns: Their observations and action masks, ``[M, ...]``.
    """

    latents: Latents
    columns: Columns


def read_starts(
    directory: Path,
    saved: SavedNetworks,
    dynamics: Dynamics,
    *,
    begin: Begin,
    most: int,
    context: int,
    seed: int,
) -> Starts:
    """Read records of a checkpoint's replay, and filter the sequences that end with them.

    Args:
        directory: The checkpoint.
        saved: Description of its networks.
        dynamics: Its world model.
        begin: "anywhere" for the last records of sequences, "first" for first records of episodes.
        most: Maximum number of starts.
        context: Records of each sequence; first records have only one.
        seed: Seed of the choice of records, and of the samples of their states.

    Returns:
        The starts, without terminal records.

    Raises:
        CheckpointError: If replay is missing or damaged, or has no such records.
    """

    def choose(sequences: SavedSequences, latents: int) -> list[np.ndarray]:
        if begin == "anywhere":
            return sequences.draw(most, context, latents, seed)
        first = sequences.first_records(most, seed)
        if not len(first):
            raise CheckpointError(
                f"{directory / REPLAY_DIRECTORY} has no first record of an episode. Use "
                "begin='anywhere', or pass an observation, reset(options={'observation': ...})."
            )
        # Records before a first record have no effect on it, so the record itself is repeated.
        return [np.repeat(one, latents + 1) for one in first]

    observations, actions = saved.observations.layout, saved.actions.layout
    batch = read_sequences(directory, observations, actions, choose)
    goes_on = ~batch[IS_TERMINAL][:, -1]
    if not goes_on.any():
        raise CheckpointError(
            f"{directory / REPLAY_DIRECTORY} has no record from which a dream can start: continue "
            "training, or pass an observation, reset(options={'observation': ...})."
        )
    batch = {key: column[goes_on] for key, column in batch.items()}
    names = [leaf.key for leaf in observations.leaves] + [ACTION_MASK] * actions.masked
    last = {name: batch[name][:, -1] for name in names}
    length = context if begin == "anywhere" else 1
    shape = (len(goes_on.nonzero()[0]), length, dynamics.categoricals)
    uniform = np.random.default_rng(seed).random(shape, np.float32)
    return Starts(dynamics.filter(batch, uniform), last)
