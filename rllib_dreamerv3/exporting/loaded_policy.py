"""Acts with the policy of a checkpoint, without Ray or an environment. Executes no code from it."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.heads import TwoHotHead
from rllib_dreamerv3.agent.networks.model import PolicyModel, named_parts, set_weights
from rllib_dreamerv3.agent.networks.policy import PolicyNoise, PolicyState
from rllib_dreamerv3.agent.networks.saved import (
    SavedNetworks,
    mismatch_as_checkpoint_error,
    read_saved_networks,
    read_weights,
)
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.checkpoints.runs import find_checkpoint
from rllib_dreamerv3.exporting.description import describe_acting
from rllib_dreamerv3.exporting.step import input_names
from rllib_dreamerv3.portable.exported_policy import ExportedPolicy
from rllib_dreamerv3.portable.runners import Arrays
from rllib_dreamerv3.records import ACTION_MASK
from rllib_dreamerv3.spaces.codecs import Spaces

Mode = Literal["sample", "mode"]


def load_policy(
    path: str | Path,
    *,
    mode: Mode | None = None,
    seed: int = 0,
    spaces: Spaces | None = None,
) -> "LoadedPolicy":
    """Load the policy of a checkpoint.

    Args:
        path: A checkpoint, or a directory of results: then its newest complete checkpoint. Or a
            name: ``pretrained:NAME``, ``hf://owner/name``.
        mode: "sample" to sample actions, "mode" for the most likely ones; None for the config's
            ``evaluation_action``.
        seed: Seed of all samples.
        spaces: Spaces of the environment to act in, if their bounds differ from training; None for
            the same spaces.

    Returns:
        The policy.

    Raises:
        CheckpointError: If there is no checkpoint, or it is damaged or too old.
        SpaceError: If the policy does not fit ``spaces``.
        ValueError: If the mode is invalid.
    """
    directory, _ = find_checkpoint(path)
    saved = read_saved_networks(directory)
    if spaces is not None:
        saved = saved.in_spaces(*spaces)
    policy = LoadedPolicy(saved, mode, seed)
    with mismatch_as_checkpoint_error(directory):
        set_weights(policy, read_weights(directory))
    return policy


class LoadedPolicy(ExportedPolicy):
    """Acts in one environment, or in N at once, with the networks of training.

    Example:
        >>> policy = load_policy("~/ray_results/cartpole")
        >>> observation, _ = env.reset()
        >>> policy.reset()
        >>> action = policy(observation)

    Attributes:
        spaces: Observation and action space of a single environment.
        mode: "sample" or "mode".
    """

    def __init__(self, saved: SavedNetworks, mode: Mode | None, seed: int):
        """Build the networks; :func:`load_policy` sets their parameters."""
        super().__init__(describe_acting(saved), self._step, mode=mode, seed=seed)
        self.spaces = Spaces(saved.observations.space, saved.actions.space)
        self._inputs = input_names(saved.observations.layout)
        self._networks = PolicyModel.create(
            saved.observations.layout, saved.actions.layout, saved.settings
        )
        rng = np.random.default_rng(0)
        self._critic = TwoHotHead(saved.settings, saved.settings.critic_layers, rng)
        self._two_hot = make_two_hot(saved.two_hot_bins)

    def named_variables(self) -> dict[str, tf.Variable]:
        """Every parameter by name, as in a checkpoint."""
        return self._networks.named_variables() | named_parts(critic=self._critic)

    def value(self, observation: Any, is_first: np.ndarray | None = None) -> Any:
        """Return the critic's value of observations, without changing the state.

        Args:
            observation: As for acting.
            is_first: As for acting.

        Returns:
            The expected discounted return: a float, or float32 ``[N]``.

        Raises:
            ValueError: As for acting.
        """
        # A separate generator: the policy's next actions do not change.
        state, single = self._observe(observation, is_first, np.random.default_rng(0))
        values = self._values(state.h, state.index)
        return float(values[0]) if single else values

    def _step(self, inputs: Arrays) -> Arrays:
        """Run one step of the networks, with the inputs and outputs of exported models."""
        columns = {key: inputs[name] for key, name in self._inputs.items()}
        if ACTION_MASK in inputs:
            columns[ACTION_MASK] = inputs[ACTION_MASK]
        state = self._networks.policy.act(
            columns,
            inputs["is_first"],
            PolicyState(inputs["h"], inputs["index"], inputs["action"]),
            PolicyNoise(inputs["latent_noise"], inputs["action_noise"]),
            mode=self.mode == "mode",
        )
        return {"next_h": state.h, "next_index": state.index, self.mode: state.action}

    def _values(self, h: np.ndarray, index: np.ndarray) -> np.ndarray:
        return self._two_hot.mean(self._critic(State(tf.constant(h), tf.constant(index)))).numpy()
