"""A dream as a Gymnasium environment: a vector of one."""

from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array, iterate

from rllib_dreamerv3.dream_env.starts import Begin
from rllib_dreamerv3.dream_env.vector_env import (
    OBSERVATION,
    DreamState,
    DreamVectorEnv,
    observed_parts,
)
from rllib_dreamerv3.spaces.nesting import unflatten


class DreamEnv(gym.Env):
    """An environment whose dynamics are the world model of a checkpoint.

    Observations and actions are those of the training environment. Neither it nor Ray is needed,
    and no code from the checkpoint is executed. The first observation is a recorded one, whose
    posterior state includes the records before it; all others are decoded from states of the
    prior. Rewards are the means of the reward head.

    Termination is sampled with the probability of the continue head. With a threshold, an end with
    a probability of 1 % per step would never occur. An episode is truncated after ``horizon``
    steps.

    Action masks are predicted by the model. A masked choice can still be taken, but the model has
    never seen its outcome.

    Example:
        >>> env = DreamEnv("~/ray_results/cartpole", horizon=50)
        >>> observation, _ = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())

    Attributes:
        observation_space: Observation space of the training environment.
        action_space: Its action space.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012 (Gymnasium's)

    def __init__(
        self,
        checkpoint: str | Path,
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
            checkpoint: A checkpoint, or a directory of results: then its newest complete
                checkpoint. Or a name: ``pretrained:NAME``, ``hf://owner/name``.
            horizon: Steps after which an episode is truncated.
            begin: Records of replay to start from: "anywhere", or "first" records of episodes.
            context: Records of a sequence that the model observes before its dream begins.
            starts: Maximum number of records to start from. With 0 replay is not read, and each
                reset needs an observation.
            seed: Seed of the choice of these records, and of the samples of their states.
            render_mode: "rgb_array": :meth:`render` draws the current observation.

        Raises:
            CheckpointError: If there is no checkpoint, it is damaged or too old, or its replay has
                no such sequences.
            ValueError: If an argument is out of range.
        """
        self._dreams = DreamVectorEnv(
            checkpoint,
            1,
            horizon=horizon,
            begin=begin,
            context=context,
            starts=starts,
            seed=seed,
            render_mode=render_mode,
        )
        self.render_mode = render_mode
        self.observation_space = self._dreams.single_observation_space
        self.action_space = self._dreams.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a dream.

        Args:
            seed: Restarts the random numbers.
            options: May have an ``observation``, the first of the episode.

        Returns:
            The observation, and an empty info.

        Raises:
            ValueError: If there is another option, or no record to start from.
            EnvironmentDataError: If the observation is invalid, or of another shape.
        """
        if options and options.get(OBSERVATION) is not None:
            space = self.observation_space
            values = observed_parts(space, options[OBSERVATION])
            options = {**options, OBSERVATION: unflatten(space, (x[None] for x in values))}
        observations, info = self._dreams.reset(seed=seed, options=options)
        self._np_random = self._dreams.np_random
        self._np_random_seed = self._dreams.np_random_seed
        return self._first(observations), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the model.

        Args:
            action: An element of the action space. Numbers outside a Box are clipped.

        Returns:
            Observation, reward, terminated, truncated, and an info with ``continue``, the
            predicted probability that the episode continues.

        Raises:
            ResetNeeded: If no episode is running.
            ValueError: If a discrete part of the action is not in its space, or a number is NaN.
        """
        if self._dreams.get_state().ended[0]:
            raise gym.error.ResetNeeded("The dream has ended: call reset().")
        actions = _with_axis(self.action_space, action)
        observations, reward, terminated, truncated, info = self._dreams.step(actions)
        ended = bool(terminated[0]), bool(truncated[0])
        chance = {"continue": float(info["continue"][0])}
        return self._first(observations), float(reward[0]), *ended, chance

    def render(self) -> np.ndarray | None:
        """Draw the current observation: its images, or its numbers as bars if it has none.

        Returns:
            uint8 ``[height, width, 3]``; None without a render mode.
        """
        pictures = self._dreams.render()
        return None if pictures is None else pictures[0]

    def get_state(self) -> DreamState:
        """Return the complete state of the dream; see :meth:`DreamVectorEnv.get_state`."""
        return self._dreams.get_state()

    def set_state(self, state: DreamState) -> None:
        """Restore a state; see :meth:`DreamVectorEnv.set_state`."""
        self._dreams.set_state(state)

    def _first(self, observations: Any) -> Any:
        return next(iter(iterate(self._dreams.observation_space, observations)))


def _with_axis(space: gym.Space, value: Any) -> Any:
    """Add an axis of one environment to a value of a space."""
    return concatenate(space, [value], create_empty_array(space, 1))
