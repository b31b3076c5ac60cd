"""N dreams at once: what both environments are made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rllib_dreamerv3.agent.networks.model import DreamerModel, set_weights
from rllib_dreamerv3.agent.networks.saved import (
    SavedNetworks,
    read_saved_networks,
    read_weights,
    require_world_model,
    weights_told,
)
from rllib_dreamerv3.checkpoints.runs import find_checkpoint
from rllib_dreamerv3.dream_env.dynamics import Dynamics, Latents
from rllib_dreamerv3.dream_env.starts import Begin, Starts, read_starts
from rllib_dreamerv3.records import Columns
from rllib_dreamerv3.spaces.layout import DiscreteAction

OBSERVATION = "observation"
"""The one option of ``reset()``."""


class DreamState(NamedTuple):
    """All that decides how N dreams go on: arrays, which are never changed in place.

    Attributes:
        latents: Model states ``[N, ...]``.
        columns: Current observations, as columns ``[N, ...]``.
        steps: Since each began, int64 ``[N]``.
        ended: Which have ended, bool ``[N]``.
        random: State of the random numbers; None to go on with those that are there, so that
            another outcome is drawn each time.
    """

    latents: Latents
    columns: Columns
    steps: np.ndarray
    ended: np.ndarray
    random: Mapping[str, Any] | None = None

    def take(self, which: np.ndarray | list[int]) -> "DreamState":
        """The states of some dreams; one that is named twice is there twice.

        Args:
            which: Indices ``[M]``.

        Returns:
            M states, without the state of the random numbers.
        """
        which = np.asarray(which, int)
        return DreamState(
            Latents(*(x[which] for x in self.latents)),
            {key: column[which] for key, column in self.columns.items()},
            self.steps[which],
            self.ended[which],
        )


class Step(NamedTuple):
    """What a step of N dreams gives.

    Attributes:
        reward: float32 ``[N]``.
        terminated: bool ``[N]``.
        truncated: bool ``[N]``.
        go_on: Probability that the episode went on, float32 ``[N]``.
    """

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    go_on: np.ndarray


class Dreams:
    """N dreams of one world model.

    Attributes:
        saved: Spaces and codecs.
        state: Where they are; it can be kept, and put back.
    """

    state: DreamState

    def __init__(
        self,
        checkpoint: str | Path,
        num_envs: int,
        *,
        horizon: int,
        begin: Begin,
        context: int,
        starts: int,
        seed: int,
    ):
        """Reads networks and starts; see :class:`DreamEnv`."""
        for name, value, least in (("horizon", horizon, 1), ("context", context, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}.")
        if begin not in ("anywhere", "first"):
            raise ValueError(f"begin must be 'anywhere' or 'first', not {begin!r}.")
        directory, _ = find_checkpoint(Path(checkpoint).expanduser().resolve())
        require_world_model(directory)
        self.saved: SavedNetworks = read_saved_networks(directory)
        observations, actions = self.saved.observations.layout, self.saved.actions.layout
        model = DreamerModel(observations, actions, self.saved.settings, seed)
        with weights_told(directory):
            set_weights(model, read_weights(directory))
        self._n, self._horizon, self._actions = num_envs, horizon, actions
        self._dynamics = Dynamics(model.world_model, self.saved)
        self._starts: Starts | None = None
        if starts:
            self._starts = read_starts(
                directory,
                self.saved,
                self._dynamics,
                begin=begin,
                most=starts,
                context=context,
                seed=seed,
            )

    def reset(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> None:
        """Begins all dreams.

        Args:
            rng: Decides where, and the samples.
            options: May have an ``observation`` of all dreams to begin with, ``[N, ...]``.

        Raises:
            ValueError: If there is another option, or nothing to begin with.
            EnvironmentDataError: If the observation holds what cannot be.
        """
        unknown = set(options or {}) - {OBSERVATION}
        if unknown:
            raise ValueError(
                f"reset() has no option {sorted(unknown)[0]!r}; it takes {OBSERVATION!r}."
            )
        if options and options.get(OBSERVATION) is not None:
            columns = self.saved.observations.encode(options[OBSERVATION])
            uniform = rng.random((self._n, self._dynamics.categoricals), np.float32)
            latents = self._dynamics.begin(columns, uniform)
        else:
            latents, columns = self._draw_starts(rng)
        nothing = np.zeros(self._n, np.int64)
        self.state = DreamState(latents, columns, nothing, nothing > 0)

    def step(self, actions: Any, rng: np.random.Generator) -> Step:
        """Steps all dreams; those that had ended begin anew instead, with reward 0.

        Args:
            actions: Of the action space, ``[N, ...]``.
            rng: Decides samples and ends.

        Returns:
            What came of it; the observations are in the state.

        Raises:
            ValueError: If an action is not in its space.
        """
        vectors = self._vectors(actions)
        before = self.state
        uniform = rng.random((self._n, self._dynamics.categoricals), np.float32)
        latents, columns, reward, go_on = self._dynamics.step(before.latents, vectors, uniform)
        terminated = rng.random(self._n) >= go_on
        steps = before.steps + 1
        if before.ended.any():
            begun = self._draw_starts(rng)
            new = before.ended
            latents = Latents(*map(_chosen(new), begun.latents, latents))
            columns = {key: _chosen(new)(begun.columns[key], x) for key, x in columns.items()}
            reward, go_on = np.where(new, np.float32(0), reward), np.where(new, 1.0, go_on)
            steps, terminated = np.where(new, 0, steps), terminated & ~new
        truncated = (steps >= self._horizon) & ~terminated
        self.state = DreamState(latents, columns, steps, terminated | truncated)
        return Step(reward, terminated, truncated, go_on.astype(np.float32))

    def observations(self) -> Any:
        """Current observations, arrays ``[N, ...]`` nested as the space is."""
        return self.saved.observations.decode(self.state.columns)

    def _draw_starts(self, rng: np.random.Generator) -> Starts:
        if self._starts is None:
            raise ValueError(
                "Without starts there is nothing to begin with: give the observation, "
                "reset(options={'observation': ...})."
            )
        which = rng.integers(len(self._starts.latents.h), size=self._n)
        return Starts(
            Latents(*(x[which] for x in self._starts.latents)),
            {key: column[which] for key, column in self._starts.columns.items()},
        )

    def _vectors(self, actions: Any) -> np.ndarray:
        vectors = self.saved.actions.encode(actions)
        discrete = sum(isinstance(leaf, DiscreteAction) for leaf in self._actions.leaves)
        chosen = vectors[:, self._actions.mask_positions].sum(-1)
        if vectors.shape[0] != self._n or (chosen != discrete).any() or np.isnan(vectors).any():
            space = self.saved.actions.space
            raise ValueError(f"{actions!r} holds an action that is not in {space}.")
        return vectors


def _chosen(which: np.ndarray) -> Any:
    """What takes rows of one array where ``which`` is set, and of another elsewhere."""
    return lambda one, other: np.where(which.reshape(-1, *[1] * (one.ndim - 1)), one, other)
