"""Acts with the policy of a checkpoint: no Ray, no environment, nothing of it executed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
import tensorflow as tf
from gymnasium.vector.utils import batch_space, iterate

from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.heads import TwoHotHead
from rllib_dreamerv3.agent.networks.model import PolicyModel, named_parts, set_weights
from rllib_dreamerv3.agent.networks.policy import PolicyState
from rllib_dreamerv3.agent.networks.saved import (
    SavedNetworks,
    read_saved_networks,
    read_weights,
    weights_told,
)
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.checkpoints.runs import find_checkpoint
from rllib_dreamerv3.errors import EnvironmentDataError
from rllib_dreamerv3.portable.observations import check, require_environments
from rllib_dreamerv3.portable.state import checked_state
from rllib_dreamerv3.spaces.nesting import flatten, unflatten

Mode = Literal["sample", "mode"]


class Spaces(NamedTuple):
    """What a policy observes and decides, for a single environment."""

    observation: gym.Space
    action: gym.Space


def load_policy(
    path: str | Path,
    *,
    mode: Mode | None = None,
    seed: int = 0,
    spaces: Spaces | None = None,
) -> "LoadedPolicy":
    """Loads the policy of a checkpoint.

    Args:
        path: A checkpoint, or a directory of results that holds some: then the newest that is
            whole.
        mode: "sample" to sample actions, "mode" for the most likely ones; None for what the
            config's ``evaluation_action`` says.
        seed: Decides all samples.
        spaces: Of the environment to act in, if it has other bounds than the one that was trained
            in; None for the same spaces.

    Returns:
        The policy.

    Raises:
        CheckpointError: If there is no checkpoint, it is damaged, or it is older than what this
            needs.
        SpaceError: If the policy does not fit ``spaces``.
        ValueError: If there is no such mode.
    """
    if mode not in (None, "sample", "mode"):
        raise ValueError(f"mode must be 'sample' or 'mode', not {mode!r}.")
    directory, _ = find_checkpoint(Path(path).expanduser().resolve())
    saved = read_saved_networks(directory)
    if spaces is not None:
        saved = saved.in_spaces(*spaces)
    policy = LoadedPolicy(saved, mode or saved.policy.options["evaluation_action"], seed)
    with weights_told(directory):
        set_weights(policy, read_weights(directory))
    return policy


class LoadedPolicy:
    """Acts in one environment, or in N of them at once.

    Example:
        >>> policy = load_policy("~/ray_results/cartpole")
        >>> observation, _ = env.reset()
        >>> policy.reset()
        >>> action = policy(observation)

    Attributes:
        spaces: Observation and action space of a single environment.
        mode: "sample" or "mode".
    """

    _state: PolicyState | None

    def __init__(self, saved: SavedNetworks, mode: Mode, seed: int):
        """Builds the networks; :func:`load_policy` gives them their parameters."""
        self._observations, self._actions = saved.observations, saved.actions
        self.spaces = Spaces(saved.observations.space, saved.actions.space)
        self._networks = PolicyModel.create(
            saved.observations.layout, saved.actions.layout, saved.settings
        )
        rng = np.random.default_rng(0)
        self._critic = TwoHotHead(saved.settings, saved.settings.critic_layers, rng)
        # Built by its first use, before there are parameters to assign.
        self._values = self._make_values(saved)
        self._sizes = {
            "h": saved.settings.deterministic,
            "index": saved.settings.categoricals,
            "action": saved.actions.layout.size,
        }
        self.mode: Mode = mode
        self.reset(seed)

    def named_variables(self) -> dict[str, tf.Variable]:
        """Every parameter by name, as in a checkpoint."""
        return self._networks.named_variables() | named_parts(critic=self._critic)

    @property
    def state(self) -> PolicyState | None:
        """What the policy remembers, or None where episodes begin. It can be copied and put back.

        Raises:
            TypeError: If what is put back is no state.
            ValueError: If it is one of another policy, or is not finite.
        """
        return self._state

    @state.setter
    def state(self, state: Any) -> None:
        self._state = None if state is None else PolicyState(*checked_state(state, self._sizes))

    def reset(self, seed: int | np.random.SeedSequence | None = None) -> None:
        """Begins episodes in all environments.

        Args:
            seed: Begins the random numbers anew; None to go on with them.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._state = None

    def __call__(self, observation: Any, is_first: np.ndarray | None = None) -> Any:
        """Chooses actions, and remembers the observation.

        Args:
            observation: From the space of one environment; or of N of them, as a vector
                environment returns it, arrays ``[N, ...]`` nested as the space is. Keys that the
                space does not have are not looked at, as in training.
            is_first: Where an episode begins, ``[N]`` bool; None for nowhere but after
                :meth:`reset`.

        Returns:
            The action of one environment, or those of N as a vector environment takes them.

        Raises:
            ValueError: If the observation, or ``is_first``, does not have the right shape, or the
                policy's numbers have become NaN or infinite.
            EnvironmentDataError: If it holds NaN, infinity, a class that does not exist, or pixels
                that are not uint8.
        """
        batch, single = self._batched(observation)
        state = self._observe(batch, is_first)
        if not np.isfinite(state.action).all():
            raise ValueError(
                "The policy chose an action that is NaN or infinite: its networks multiply "
                "observations beyond what numbers can hold. Load another checkpoint."
            )
        self._state = state
        actions = self._actions.decode(state.action)
        if not single:
            return actions
        return next(iter(iterate(batch_space(self.spaces.action, 1), actions)))

    def value(self, observation: Any, is_first: np.ndarray | None = None) -> Any:
        """The critic's value of observations, without remembering them.

        Args:
            observation: As for acting.
            is_first: As for acting.

        Returns:
            The expected discounted return from there: a float, or float32 ``[N]``.

        Raises:
            ValueError: As for acting.
            EnvironmentDataError: As for acting.
        """
        batch, single = self._batched(observation)
        rng = self._rng
        # Asking for a value does not change what the policy does next.
        self._rng = np.random.default_rng(0)
        try:
            state = self._observe(batch, is_first)
        finally:
            self._rng = rng
        values = self._values(state.h, state.index)
        return float(values[0]) if single else values

    def _observe(self, batch: Any, is_first: np.ndarray | None) -> PolicyState:
        self._check(batch)
        columns = self._observations.encode(batch)
        n = len(next(iter(columns.values())))
        state = self._state
        if state is None:
            state, begins = self._networks.policy.initial_state(n), np.ones(n, bool)
        else:
            begins = np.zeros(n, bool)
        if len(state.h) != n:
            raise ValueError(
                f"The policy has acted in {len(state.h)} environments, and is given observations "
                f"of {n}: call reset() first."
            )
        if is_first is not None:
            given = np.asarray(is_first, bool)
            if given.shape != (n,):
                raise ValueError(f"is_first has the shape {given.shape} instead of {(n,)}.")
            begins |= given
        noise = self._networks.policy.draw_noise(self._rng, n)
        return self._networks.policy.act(columns, begins, state, noise, mode=self.mode == "mode")

    def _batched(self, observation: Any) -> tuple[Any, bool]:
        """Observations with an axis of environments, and whether they had none."""
        space = self.spaces.observation
        try:
            values = [np.asarray(x) for x in flatten(space, observation)]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"The observation is not nested as {space} is.") from error
        shapes = [part.shape or () for part in flatten(space, _nested_spaces(space))]
        if all(x.shape == shape for x, shape in zip(values, shapes, strict=True)):
            return unflatten(space, iter([x[None] for x in values])), True
        if len({x.shape[:1] for x in values}) == 1 and all(
            x.shape[1:] == shape for x, shape in zip(values, shapes, strict=True)
        ):
            require_environments(len(values[0]))
            return unflatten(space, iter(values)), False
        found = ", ".join(str(x.shape) for x in values)
        raise ValueError(
            f"The observation has parts of the shapes {found}; {space} needs "
            f"{', '.join(map(str, shapes))}, or the same with an axis of N environments in front."
        )

    def _check(self, batch: Any) -> None:
        """What training says of such values speaks of replay; here there is none."""
        for path, part in self._observations.parts:
            value = batch
            for key in path:
                value = value[key]
            try:
                check(value, part.arrays, path)
            except ValueError as error:
                raise EnvironmentDataError(str(error)) from error

    def _make_values(self, saved: SavedNetworks) -> Callable[..., np.ndarray]:
        two_hot = make_two_hot(saved.two_hot_bins)

        def values(h: np.ndarray, index: np.ndarray) -> np.ndarray:
            state = State(tf.constant(h), tf.constant(index))
            return two_hot.mean(self._critic(state)).numpy()

        return values


def _nested_spaces(space: gym.Space) -> Any:
    """A space as a nesting of dicts and tuples of its leaves."""
    if isinstance(space, gym.spaces.Dict):
        return {key: _nested_spaces(child) for key, child in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(_nested_spaces(child) for child in space.spaces)
    return space
