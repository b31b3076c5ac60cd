"""Reads the networks of a checkpoint from plain files: no code from it is executed.

Needs neither Ray nor the environment: ``policy.json`` describes networks and spaces.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym

from rllib_dreamerv3.agent.networks.model import Weights
from rllib_dreamerv3.checkpoints import manifest, policy_file, tensors
from rllib_dreamerv3.checkpoints.files import POLICY_FILE, networks_file
from rllib_dreamerv3.checkpoints.manifest import damaged
from rllib_dreamerv3.checkpoints.policy_file import PolicyFile
from rllib_dreamerv3.errors import CheckpointError, SpaceError
from rllib_dreamerv3.options.model_sizes import ModelSettings, settings_of, variant_of
from rllib_dreamerv3.options.option import options_of
from rllib_dreamerv3.options.option_checks import resolve
from rllib_dreamerv3.options.table import OPTIONS, LearningOptions, TwoHotBins
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec, make_codecs
from rllib_dreamerv3.spaces.space_json import space_from_json


class SavedNetworks(NamedTuple):
    """Description of a checkpoint's networks.

    Attributes:
        policy: ``policy.json``.
        settings: Settings of the networks.
        two_hot_bins: Bins of rewards and values, see :func:`make_two_hot`.
        continue_label: Label of the continue head if an episode continues: 1, or gamma.
        observations: Codec of the observations.
        actions: Codec of the actions.
    """

    policy: PolicyFile
    settings: ModelSettings
    two_hot_bins: TwoHotBins
    continue_label: float
    observations: ObservationCodec
    actions: ActionCodec

    def in_spaces(self, observation_space: gym.Space, action_space: gym.Space) -> "SavedNetworks":
        """Return the same with other spaces that have identical network layouts.

        Such spaces differ in the bounds of vectors or actions, for example.

        Raises:
            SpaceError: If the layouts differ, or a space is not supported.
        """
        observations, actions = _codecs(
            self.policy.options, observation_space, action_space, self.settings
        )
        if (observations.layout, actions.layout) != (
            self.observations.layout,
            self.actions.layout,
        ):
            raise SpaceError(
                f"It observes {self.observations.space} and acts in {self.actions.space}; the "
                f"environment has {observation_space} and {action_space}."
            )
        return self._replace(observations=observations, actions=actions)


def read_saved_networks(directory: Path) -> SavedNetworks:
    """Read the description, without the parameters.

    Args:
        directory: A checkpoint, or an exported policy; ``policy.json`` is compared with its
            manifest.

    Raises:
        CheckpointError: If it is not a checkpoint, is damaged, or is too old.
    """
    manifest.verify(directory, only=[POLICY_FILE])
    policy = policy_file.read(directory)
    if policy.observation_space is None or policy.action_space is None:
        raise CheckpointError(
            f"{directory / POLICY_FILE} has no spaces: the checkpoint was saved by an older "
            "version. Restore it once and save it again: "
            "DreamerV3.from_checkpoint(path).save_to_path(new_path)."
        )
    options = policy.options
    with _invalid_as_damaged(directory / POLICY_FILE):
        settings = settings_of(options)
        variant = variant_of(options["model_size"], options["variant"])
        learning = resolve(options_of(LearningOptions), options, variant)
        bins = learning["two_hot_bins"]
        OPTIONS["two_hot_bins"].check(bins)
        continue_label = float(options["gamma"]) if learning["discount_in_continue"] else 1.0
        observations, actions = _codecs(
            options,
            space_from_json(policy.observation_space),
            space_from_json(policy.action_space),
            settings,
        )
    return SavedNetworks(policy, settings, bins, continue_label, observations, actions)


def require_world_model(directory: Path) -> None:
    """Raise CheckpointError for an exported policy, which cannot dream."""
    if manifest.is_exported(directory):
        raise CheckpointError(
            f"{directory} is an exported policy: it has the acting networks, but no decoder, "
            "reward head or replay. Use the checkpoint that it was exported from."
        )


def read_weights(directory: Path) -> Weights:
    """Read the parameters of all networks, by name.

    Raises:
        CheckpointError: If they are missing or damaged.
    """
    name = networks_file(directory)
    manifest.verify(directory, only=[name])
    return tensors.load(directory / name)


@contextlib.contextmanager
def mismatch_as_checkpoint_error(directory: Path) -> Iterator[None]:
    """Raise CheckpointError for parameters that do not fit ``policy.json``."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(
            f"{directory / networks_file(directory)} does not fit {POLICY_FILE}. {error}"
        ) from error


def _codecs(
    options: Mapping[str, Any],
    observation_space: gym.Space,
    action_space: gym.Space,
    settings: ModelSettings,
) -> tuple[ObservationCodec, ActionCodec]:
    return make_codecs(
        observation_space,
        action_space,
        image_size=options["image_size"],
        cnn=settings.cnn,
        mask_key=options["action_mask_key"],
        normalize_actions=options.get("normalize_actions", True),
        clip_actions=options.get("clip_actions", False),
    )


@contextlib.contextmanager
def _invalid_as_damaged(path: Path) -> Iterator[None]:
    """Raise CheckpointError for a file with the right checksum but invalid content."""
    try:
        yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, (str(error) or type(error).__name__).rstrip(".")) from error
