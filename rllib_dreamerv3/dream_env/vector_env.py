"""N dreams as a Gymnasium vector environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rllib_dreamerv3.agent.networks.model import DreamerModel, set_weights
from rllib_dreamerv3.agent.networks.saved import (
    SavedNetworks,
    mismatch_as_checkpoint_error,
    read_saved_networks,
    read_weights,
    require_world_model,
)
from rllib_dreamerv3.checkpoints.runs import find_checkpoint
from rllib_dreamerv3.dream_env.dynamics import Dynamics, Latents
from rllib_dreamerv3.dream_env.picture import dream_picture
from rllib_dreamerv3.dream_env.starts import Begin, Starts, read_starts
from rllib_dreamerv3.errors import EnvironmentDataError
from rllib_dreamerv3.portable.observations import parts_at
from rllib_dreamerv3.records import Columns
from rllib_dreamerv3.spaces.layout import DiscreteAction
from rllib_dreamerv3.spaces.nesting import paths

OBSERVATION = "observation"
"""The one option of ``reset()``."""


class DreamState(NamedTuple):
    """The complete state of N dreams: arrays, which are never changed in place.

    Attributes:
        latents: Model states ``[N, ...]``.
        columns: Current observations, as columns ``[N, ...]``.
        steps: Steps since the start of each, int64 ``[N]``.
        ended: Whether each has ended, bool ``[N]``.
        first: Model states and observations with which they began, ``[N, ...]``.
        random: State of the random generator; None keeps the current state, so that each
            continuation is sampled independently.
    """

    latents: Latents
    columns: Columns
    steps: np.ndarray
    ended: np.ndarray
    first: Starts
    random: Mapping[str, Any] | None = None

    def take(self, which: np.ndarray | list[int]) -> "DreamState":
        """Return the states of some dreams.

        Args:
            which: Indices ``[M]``, which may repeat.

        Returns:
            M states, without the state of the random generator.
        """
        which = np.asarray(which, int)
        latents, columns = _take(Starts(self.latents, self.columns), which)
        return DreamState(
            latents, columns, self.steps[which], self.ended[which], _take(self.first, which)
        )


class DreamVectorEnv(VectorEnv):
    """N dreams that are stepped by one call of the model; see :class:`DreamEnv`.

    The step after an end ignores the action, begins another dream and has reward 0
    (``AutoresetMode.NEXT_STEP``). It begins at another record; with ``starts=0`` again with the
    first observation and model state of the dream that has ended.

    Attributes:
        num_envs: N.
    """

    metadata = {  # noqa: RUF012 (Gymnasium's)
        "render_modes": ["rgb_array"],
        "render_fps": 15,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        checkpoint: str | Path,
        num_envs: int,
        *,
        horizon: int = 64,
        begin: Begin = "anywhere",
        context: int = 5,
        starts: int = 256,
        seed: int = 0,
        render_mode: Literal["rgb_array"] | None = None,
    ):
        """Read the networks, and the records from which dreams start.

        Args:
            checkpoint: See :class:`DreamEnv`, also for the other arguments.
            num_envs: N.
            horizon: Steps after which an episode is truncated.
            begin: Records of replay to start from.
            context: Records of a sequence that the model observes before its dream begins.
            starts: Maximum number of records to start from; 0 does not read replay.
            seed: Seed of the choice of these records, and of the samples of their states.
            render_mode: "rgb_array", or None.

        Raises:
            CheckpointError: As for :class:`DreamEnv`.
            ValueError: If an argument is out of range.
        """
        for name, value, least in (
            ("num_envs", num_envs, 1),
            ("horizon", horizon, 1),
            ("context", context, 1),
            ("starts", starts, 0),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}.")
        if begin not in ("anywhere", "first"):
            raise ValueError(f"begin must be 'anywhere' or 'first', not {begin!r}.")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be 'rgb_array' or None, not {render_mode!r}.")
        directory, _ = find_checkpoint(checkpoint)
        require_world_model(directory)
        self._saved: SavedNetworks = read_saved_networks(directory)
        observations, actions = self._saved.observations, self._saved.actions
        model = DreamerModel(observations.layout, actions.layout, self._saved.settings, seed)
        with mismatch_as_checkpoint_error(directory):
            set_weights(model, read_weights(directory))
        self._dynamics = Dynamics(model.world_model, self._saved)
        self._starts: Starts | None = None
        if starts:
            self._starts = read_starts(
                directory,
                self._saved,
                self._dynamics,
                begin=begin,
                most=starts,
                context=context,
                seed=seed,
            )
        self.num_envs, self.render_mode, self._horizon = num_envs, render_mode, horizon
        self.single_observation_space, self.single_action_space = observations.space, actions.space
        self.observation_space = batch_space(observations.space, num_envs)
        self.action_space = batch_space(actions.space, num_envs)
        self._state: DreamState | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin all dreams.

        Args:
            seed: Restarts the random numbers of all dreams.
            options: May have an ``observation``, the first ones of all dreams, ``[N, ...]``.

        Returns:
            The observations ``[N, ...]``, and an empty info.

        Raises:
            ValueError: If there is another option, or no record to start from.
            EnvironmentDataError: If the observation is invalid, or not of N dreams.
        """
        super().reset(seed=seed)
        unknown = set(options or {}) - {OBSERVATION}
        if unknown:
            raise ValueError(
                f"reset() has no option {sorted(unknown)[0]!r}; it takes {OBSERVATION!r}."
            )
        if options and options.get(OBSERVATION) is not None:
            observations = self._saved.observations
            observed_parts(observations.space, options[OBSERVATION], self.num_envs)
            encoded = observations.encode(options[OBSERVATION])
            # It may share memory with the caller's arrays.
            columns = {key: column.copy() for key, column in encoded.items()}
            latents = self._dynamics.begin(columns, self._draw_uniform())
        else:
            latents, columns = self._draw_starts()
        nothing = np.zeros(self.num_envs, np.int64)
        self._state = DreamState(latents, columns, nothing, nothing > 0, Starts(latents, columns))
        return self._observations(self._state), {}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step the model.

        Args:
            actions: Elements of the action space, ``[N, ...]``. Numbers outside a Box are clipped.

        Returns:
            Observations, rewards float64 ``[N]``, terminated and truncated bool ``[N]``, and an
            info with ``continue``, the probability that the episode continues, float32 ``[N]``.

        Raises:
            ResetNeeded: If the dreams have not begun.
            ValueError: If a discrete part of an action is not in its space, or a number is NaN.
        """
        before, vectors = self._begun(), self._vectors(actions)
        first = before.first
        latents, columns, reward, go_on = self._dynamics.step(
            before.latents, vectors, self._draw_uniform()
        )
        terminated = self.np_random.random(self.num_envs) >= go_on
        steps = before.steps + 1
        if before.ended.any():
            new, begun = before.ended, self._restarts(before)
            latents, columns = _chosen(new, begun, Starts(latents, columns))
            first = _chosen(new, begun, first)
            reward, go_on = np.where(new, np.float32(0), reward), np.where(new, 1.0, go_on)
            steps, terminated = np.where(new, 0, steps), terminated & ~new
        truncated = (steps >= self._horizon) & ~terminated
        self._state = DreamState(latents, columns, steps, terminated | truncated, first)
        info = {"continue": go_on.astype(np.float32), "_continue": np.ones(self.num_envs, bool)}
        observations = self._observations(self._state)
        return observations, reward.astype(np.float64), terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Draw the current observation of each dream; None without a render mode."""
        if self.render_mode is None:
            return None
        layout, columns = self._saved.observations.layout, self._begun().columns
        return tuple(
            dream_picture(layout, {key: column[i] for key, column in columns.items()})
            for i in range(self.num_envs)
        )

    def get_state(self) -> DreamState:
        """Return the complete state of the dreams.

        Raises:
            ResetNeeded: If they have not begun.
        """
        return self._begun()._replace(random=self.np_random.bit_generator.state)

    def set_state(self, state: DreamState) -> None:
        """Restore states, of this environment or of another with the same checkpoint.

        Args:
            state: N states of :meth:`get_state`: the same actions give the same continuation. With
                ``random=None`` another one is sampled. ``state.take([0] * n)`` copies one state n
                times, to try n continuations.

        Raises:
            ValueError: If the number of states is not N.
        """
        if len(state.steps) != self.num_envs:
            raise ValueError(
                f"There are {len(state.steps)} states for {self.num_envs} dreams; "
                "state.take(indices) returns one state per index."
            )
        if state.random is not None:
            self.np_random.bit_generator.state = state.random
        self._state = state

    def _begun(self) -> DreamState:
        if self._state is None:
            raise gym.error.ResetNeeded("The dreams have not begun: call reset().")
        return self._state

    def _observations(self, state: DreamState) -> Any:
        return self._saved.observations.decode(state.columns)

    def _draw_uniform(self) -> np.ndarray:
        """Draw the random numbers of one step."""
        return self.np_random.random((self.num_envs, self._dynamics.categoricals), np.float32)

    def _restarts(self, before: DreamState) -> Starts:
        """Return where dreams restart that have ended."""
        return before.first if self._starts is None else self._draw_starts()

    def _draw_starts(self) -> Starts:
        if self._starts is None:
            raise ValueError(
                "With starts=0 each reset needs an observation: "
                "reset(options={'observation': ...})."
            )
        which = self.np_random.integers(len(self._starts.latents.h), size=self.num_envs)
        return _take(self._starts, which)

    def _vectors(self, actions: Any) -> np.ndarray:
        codec = self._saved.actions
        vectors = codec.encode(actions)
        discrete = sum(isinstance(leaf, DiscreteAction) for leaf in codec.layout.leaves)
        chosen = vectors[:, codec.layout.mask_positions].sum(-1)
        if len(vectors) != self.num_envs or (chosen != discrete).any() or np.isnan(vectors).any():
            raise ValueError(f"{actions!r} contains an action that is not in {codec.space}.")
        return vectors


def observed_parts(space: gym.Space, observation: Any, *axes: int) -> list[np.ndarray]:
    """Return the parts of an observation, in the order of its space.

    Args:
        space: Observation space of one dream.
        observation: The observation.
        axes: Lengths of its axes before those of the space.

    Returns:
        An array for each leaf of the space.

    Raises:
        EnvironmentDataError: If a part is missing, or has the wrong shape.
    """
    leaves = paths(space)
    try:
        values = parts_at(observation, [path for path, _ in leaves])
    except ValueError as error:
        raise EnvironmentDataError(str(error)) from error
    found = [x.shape for x in values]
    wanted = [(*axes, *(leaf.shape or ())) for _, leaf in leaves]
    if found != wanted:
        raise EnvironmentDataError(
            f"The observation has parts of the shapes {', '.join(map(str, found))} instead of "
            f"{', '.join(map(str, wanted))}."
        )
    return values


def _take(starts: Starts, which: np.ndarray) -> Starts:
    """Return the starts at indices."""
    return Starts(
        Latents(*(x[which] for x in starts.latents)),
        {key: column[which] for key, column in starts.columns.items()},
    )


def _chosen(which: np.ndarray, one: Starts, other: Starts) -> Starts:
    """Return the rows of ``one`` where ``which``, and those of ``other`` elsewhere."""

    def choose(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return Starts(
        Latents(*map(choose, one.latents, other.latents)),
        {key: choose(one.columns[key], x) for key, x in other.columns.items()},
    )
