"""Dreams of a checkpoint, from plain files alone: nothing that it holds is executed.

Neither Ray nor the environment is needed: ``policy.json`` says what the networks are built from,
and replay has what they dream of.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.networks.model import DreamerModel, set_weights
from rllib_dreamerv3.agent.networks.saved import (
    read_saved_networks,
    read_weights,
    require_world_model,
    weights_told,
)
from rllib_dreamerv3.checkpoints import manifest
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
from rllib_dreamerv3.replay.saved_sequences import SavedSequences
from rllib_dreamerv3.reports.dreams import Dream, Dreamer
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout


def dream_of_checkpoint(
    directory: Path, *, rows: int, length: int, observed: int, seed: int = 0
) -> Dream:
    """Lets the world model of a checkpoint dream of sequences in its replay.

    Only what is needed is read, after it was compared with the manifest. Sequences are drawn so
    that as few episodes as possible begin within them.

    Args:
        directory: A checkpoint.
        rows: Sequences.
        length: Records of each, at least 2.
        observed: Records at the beginning of each that imagination sees, fewer than ``length``.
        seed: Decides the sequences and all samples.

    Returns:
        The dream.

    Raises:
        CheckpointError: If the directory is no checkpoint, is damaged, is older than what this
            needs, or has no sequences of that length.
    """
    require_world_model(directory)
    manifest.verify(directory, only=[f"{REPLAY_DIRECTORY}/{INDEX}"])
    saved = read_saved_networks(directory)
    observations, actions = saved.observations.layout, saved.actions.layout
    model = DreamerModel(observations, actions, saved.settings, seed)
    with weights_told(directory):
        set_weights(model, read_weights(directory))
    batch = read_sequences(
        directory,
        observations,
        actions,
        lambda saved, context: saved.draw(rows, length, context, seed),
    )
    dreamer = Dreamer(model.world_model, observations, saved.settings, saved.two_hot_bins)
    return dreamer.dream(batch, observed, tf.constant([seed, 0], tf.int32))


def has_images(directory: Path) -> bool:
    """Whether the observations of a checkpoint have images, of which there can be a video.

    Raises:
        CheckpointError: If it is no checkpoint, is damaged, or is older than what this needs.
    """
    return bool(read_saved_networks(directory).observations.layout.images)


def read_sequences(
    directory: Path,
    observations: ObservationLayout,
    actions: ActionLayout,
    choose: Callable[[SavedSequences, int], list[np.ndarray]],
) -> Columns:
    """Reads sequences of a checkpoint's replay, of which only these files are verified.

    Args:
        directory: The checkpoint.
        observations: Which columns replay must have.
        actions: The same of actions; where they are masked, the masks are read too.
        choose: Says where the records are, given how many records of context (0 or 1) have to be
            in front of each sequence; see :meth:`SavedSequences.draw`.

    Returns:
        Record columns ``[B, T, ...]``; ``[B, 1 + T, ...]`` where latents are stored.

    Raises:
        CheckpointError: If something is missing or damaged, or there are no such sequences.
    """
    saved = SavedSequences(directory / REPLAY_DIRECTORY)
    expected: dict[str, tuple[int, ...]] = {leaf.key: leaf.shape for leaf in observations.leaves}
    expected |= {ACTION: (actions.size,), REWARD: (), IS_FIRST: (), IS_TERMINAL: ()}
    if actions.masked:
        expected[ACTION_MASK] = (len(actions.mask_positions),)
    for name, shape in expected.items():
        if name not in saved.specs or saved.specs[name].shape != shape:
            raise damaged(
                directory / REPLAY_DIRECTORY / INDEX,
                f"column {name!r} does not have the shape {shape} that {POLICY_FILE} asks for",
            )
    latents = [name for name in (LATENT_H, LATENT_INDEX) if name in saved.specs]
    names = [*expected, *latents]
    manifest.verify(directory, only=[f"{REPLAY_DIRECTORY}/{saved.file_of(x)}" for x in names])
    batch = saved.read(choose(saved, len(latents) // 2), names)
    # As in training: a sequence has no state from before its first record.
    batch[IS_FIRST][:, 0] = True
    return batch
