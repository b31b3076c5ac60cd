"""Dreams of a checkpoint, from plain files alone: nothing that it holds is executed.

Neither Ray nor the environment is needed: ``policy.json`` says what the networks are built from,
and replay has what they dream of.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from rllib_dreamerv3.checkpoints import manifest, policy_file, tensors
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE, POLICY_FILE, REPLAY_DIRECTORY
from rllib_dreamerv3.checkpoints.manifest import damaged
from rllib_dreamerv3.checkpoints.policy_file import PolicyFile
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.networks.model import DreamerModel, set_weights
from rllib_dreamerv3.options.checks import resolve
from rllib_dreamerv3.options.model_sizes import ModelSettings, settings_of, variant_of
from rllib_dreamerv3.options.option import options_of
from rllib_dreamerv3.options.table import OPTIONS, LearningOptions
from rllib_dreamerv3.records import (
    ACTION,
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
from rllib_dreamerv3.spaces.codecs import make_codecs
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout
from rllib_dreamerv3.spaces.space_json import space_from_json


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
    manifest.verify(directory, only=[POLICY_FILE, NETWORKS_FILE, f"{REPLAY_DIRECTORY}/{INDEX}"])
    policy = policy_file.read(directory)
    with _told_as_damage(directory / POLICY_FILE):
        settings = settings_of(policy.options)
        observations, actions = _layouts(directory, policy, settings)
        variant = variant_of(policy.options["model_size"], policy.options["variant"])
        bins = resolve(options_of(LearningOptions), policy.options, variant)["two_hot_bins"]
        OPTIONS["two_hot_bins"].check(bins)
        model = DreamerModel(observations, actions, settings, seed)
    weights = tensors.load(directory / NETWORKS_FILE)
    try:
        set_weights(model, weights)
    except ValueError as error:
        raise CheckpointError(
            f"{directory / NETWORKS_FILE} does not fit {POLICY_FILE}. {error}"
        ) from error
    batch = _sequences(directory, observations, actions, rows, length, seed)
    dreamer = Dreamer(model.world_model, observations, settings, bins)
    return dreamer.dream(batch, observed, tf.constant([seed, 0], tf.int32))


def has_images(directory: Path) -> bool:
    """Whether the observations of a checkpoint have images, of which there can be a video.

    Raises:
        CheckpointError: If it is no checkpoint, is damaged, or is older than what this needs.
    """
    manifest.verify(directory, only=[POLICY_FILE])
    policy = policy_file.read(directory)
    with _told_as_damage(directory / POLICY_FILE):
        observations, _ = _layouts(directory, policy, settings_of(policy.options))
    return bool(observations.images)


@contextlib.contextmanager
def _told_as_damage(path: Path) -> Iterator[None]:
    """A file that verifies but says what cannot be was made by somebody else."""
    try:
        yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, (str(error) or type(error).__name__).rstrip(".")) from error


def _layouts(
    directory: Path, policy: PolicyFile, settings: ModelSettings
) -> tuple[ObservationLayout, ActionLayout]:
    if policy.observation_space is None or policy.action_space is None:
        raise CheckpointError(
            f"{directory / POLICY_FILE} does not say what observations and actions look like: the "
            "checkpoint was saved before that was written down. Restore it once and save it again: "
            "DreamerV3.from_checkpoint(path).save_to_path(new_path)."
        )
    observations, actions = make_codecs(
        space_from_json(policy.observation_space),
        space_from_json(policy.action_space),
        image_size=policy.options["image_size"],
        cnn=settings.cnn,
        mask_key=policy.options["action_mask_key"],
    )
    return observations.layout, actions.layout


def _sequences(
    directory: Path,
    observations: ObservationLayout,
    actions: ActionLayout,
    rows: int,
    length: int,
    seed: int,
) -> Columns:
    """Record columns ``[B, T, ...]``; ``[B, 1 + T, ...]`` where latents are stored."""
    saved = SavedSequences(directory / REPLAY_DIRECTORY)
    expected: dict[str, tuple[int, ...]] = {leaf.key: leaf.shape for leaf in observations.leaves}
    expected |= {ACTION: (actions.size,), REWARD: (), IS_FIRST: (), IS_TERMINAL: ()}
    for name, shape in expected.items():
        if name not in saved.specs or saved.specs[name].shape != shape:
            raise damaged(
                directory / REPLAY_DIRECTORY / INDEX,
                f"column {name!r} does not have the shape {shape} that {POLICY_FILE} asks for",
            )
    latents = [name for name in (LATENT_H, LATENT_INDEX) if name in saved.specs]
    names = [*expected, *latents]
    manifest.verify(directory, only=[f"{REPLAY_DIRECTORY}/{saved.file_of(x)}" for x in names])
    batch = saved.read(saved.draw(rows, length, len(latents) // 2, seed), names)
    # As in training: a sequence has no state from before its first record.
    batch[IS_FIRST][:, 0] = True
    return batch
