"""Dreams of a checkpoint, from plain files only: no code from it is executed.

Requires neither Ray nor the environment: ``policy.json`` has the settings of the networks, and
replay the sequences.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.networks.model import DreamerModel, set_weights
from rllib_dreamerv3.agent.networks.saved import (
    mismatch_as_checkpoint_error,
    read_saved_networks,
    read_weights,
    require_world_model,
)
from rllib_dreamerv3.checkpoints.files import POLICY_FILE, REPLAY_DIRECTORY
from rllib_dreamerv3.checkpoints.manifest import damaged
from rllib_dreamerv3.records import (
    ACTION,
    ACTION_MASK,
    IS_FIRST,
    IS_TERMINAL,
    LATENT_H,
    LATENT_INDEX,
    REWARD,
    Columns,
)
from rllib_dreamerv3.replay.checkpoint import INDEX
from rllib_dreamerv3.replay.saved_sequences import SavedSequences, verified_sequences
from rllib_dreamerv3.reports.dreams import Dream, Dreamer
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout

DEFAULT_LENGTH = 50
"""Records of a sequence, if replay has so many."""


def dream_of_checkpoint(
    directory: Path, *, rows: int, length: int | None, observed: int, seed: int = 0
) -> Dream:
    """Let the world model of a checkpoint dream of sequences in its replay.

    Read only the necessary files, after verifying them against the manifest. Draw sequences
    within which as few episodes as possible begin.

    Args:
        directory: A checkpoint.
        rows: Number of sequences.
        length: Records of each, at least 2; None for :data:`DEFAULT_LENGTH`, or as many consecutive
            ones as replay has.
        observed: Context records of each that imagination sees, fewer than ``length``.
        seed: Seed of the sequences and all samples.

    Returns:
        The dream.

    Raises:
        CheckpointError: If the directory is not a checkpoint, is damaged, is too old, or has no
            sequences of that length.
    """
    require_world_model(directory)
    saved = read_saved_networks(directory)
    observations, actions = saved.observations.layout, saved.actions.layout
    model = DreamerModel(observations, actions, saved.settings, seed)
    with mismatch_as_checkpoint_error(directory):
        set_weights(model, read_weights(directory))

    def choose(sequences: SavedSequences, context: int) -> list[np.ndarray]:
        most = max(sequences.longest - context, observed + 1)
        return sequences.draw(rows, length or min(DEFAULT_LENGTH, most), context, seed)

    batch = read_sequences(directory, observations, actions, choose)
    dreamer = Dreamer(model.world_model, observations, saved.settings, saved.two_hot_bins)
    return dreamer.dream(batch, observed, tf.constant([seed, 0], tf.int32))


def has_images(directory: Path) -> bool:
    """Whether the observations of a checkpoint have images, for a video.

    Raises:
        CheckpointError: If it is not a checkpoint, is damaged, or is too old.
    """
    return bool(read_saved_networks(directory).observations.layout.images)


def read_sequences(
    directory: Path,
    observations: ObservationLayout,
    actions: ActionLayout,
    choose: Callable[[SavedSequences, int], list[np.ndarray]],
) -> Columns:
    """Read sequences of a checkpoint's replay, and verify only their files.

    Args:
        directory: The checkpoint.
        observations: Layout of the columns that replay must have.
        actions: Layout of the actions; if they are masked, the masks are read too.
        choose: Returns the indices of the records, given the number of context records (0 or 1)
            before each sequence; see :meth:`SavedSequences.draw`.

    Returns:
        Record columns ``[B, T, ...]``; ``[B, 1 + T, ...]`` if latents are stored.

    Raises:
        CheckpointError: If a file is missing or damaged, or there are no such sequences.
    """
    expected: dict[str, tuple[int, ...]] = {leaf.key: leaf.shape for leaf in observations.leaves}
    expected |= {ACTION: (actions.size,), REWARD: (), IS_FIRST: (), IS_TERMINAL: ()}
    if actions.masked:
        expected[ACTION_MASK] = (len(actions.mask_positions),)
    saved = verified_sequences(directory, [*expected, LATENT_H, LATENT_INDEX])
    for name, shape in expected.items():
        if name not in saved.specs or saved.specs[name].shape != shape:
            raise damaged(
                directory / REPLAY_DIRECTORY / INDEX,
                f"column {name!r} does not have the shape {shape} that {POLICY_FILE} requires",
            )
    latents = [name for name in (LATENT_H, LATENT_INDEX) if name in saved.specs]
    batch = saved.read(choose(saved, len(latents) // 2), [*expected, *latents])
    # As in training: a sequence has no state from before its first record.
    batch[IS_FIRST][:, 0] = True
    return batch
