"""N dreams as a vector environment of Gymnasium."""

from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rllib_dreamerv3.dream_env.dreams import Dreams, DreamState
from rllib_dreamerv3.dream_env.picture import check_render_mode, dream_picture
from rllib_dreamerv3.dream_env.starts import Begin


class DreamVectorEnv(VectorEnv):
    """N dreams that are stepped by one call of the model; see :class:`DreamEnv`.

    The step after an end ignores the action, begins another dream and has reward 0
    (``AutoresetMode.NEXT_STEP``).

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
        """Reads the networks, and where dreams can begin.

        Args:
            checkpoint: As for :class:`DreamEnv`, and so are the other arguments.
            num_envs: N.
            horizon: Steps after which an episode is truncated.
            begin: Where in replay dreams begin.
            context: Records that the model sees of a sequence before its dream begins.
            starts: Most records of replay to begin with.
            seed: Decides which records these are, and the samples of their states.
            render_mode: "rgb_array", or None.

        Raises:
            CheckpointError: As for :class:`DreamEnv`.
            ValueError: If an argument is out of range.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, not {num_envs}.")
        check_render_mode(render_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self._dreams = Dreams(
            checkpoint,
            num_envs,
            horizon=horizon,
            begin=begin,
            context=context,
            starts=starts,
            seed=seed,
        )
        saved = self._dreams.saved
        self.single_observation_space = saved.observations.space
        self.single_action_space = saved.actions.space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins all dreams.

        Args:
            seed: Begins the random numbers of all of them anew.
            options: May have an ``observation`` of all of them to begin with, ``[N, ...]``.

        Returns:
            The observations ``[N, ...]``, and an empty info.

        Raises:
            ValueError: If there is another option, or nothing to begin with.
            EnvironmentDataError: If the observation holds what cannot be.
        """
        super().reset(seed=seed)
        self._dreams.reset(self.np_random, options)
        self._running = True
        return self._dreams.observations(), {}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Lets actions lead to the next observations.

        Args:
            actions: Of the action space, ``[N, ...]``.

        Returns:
            Observations, rewards float64 ``[N]``, terminated and truncated bool ``[N]``, and an
            info with ``continue``, float32 ``[N]``.

        Raises:
            ResetNeeded: If the dreams have not begun.
            ValueError: If an action is not in its space.
        """
        self._check_begun()
        reward, terminated, truncated, go_on = self._dreams.step(actions, self.np_random)
        info = {"continue": go_on, "_continue": np.ones(self.num_envs, bool)}
        observations = self._dreams.observations()
        return observations, reward.astype(np.float64), terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Draws the current observation of each dream; None without a render mode."""
        self._check_begun()
        if self.render_mode is None:
            return None
        layout, columns = self._dreams.saved.observations.layout, self._dreams.state.columns
        return tuple(
            dream_picture(layout, {key: column[i] for key, column in columns.items()})
            for i in range(self.num_envs)
        )

    def get_state(self) -> DreamState:
        """All that decides how the dreams go on; see :meth:`DreamEnv.get_state`."""
        self._check_begun()
        return self._dreams.state._replace(random=self.np_random.bit_generator.state)

    def set_state(self, state: DreamState) -> None:
        """Goes on from states, which may be those of another environment.

        Args:
            state: N states; ``state.take([0] * n)`` makes n of one, to try n ways on.

        Raises:
            ValueError: If there are not N of them.
        """
        if len(state.steps) != self.num_envs:
            raise ValueError(
                f"There are {len(state.steps)} states for {self.num_envs} dreams: "
                "state.take(indices) gives as many as there are indices."
            )
        if state.random is not None:
            self.np_random.bit_generator.state = state.random
        self._dreams.state, self._running = state, True

    def _check_begun(self) -> None:
        if not self._running:
            raise gym.error.ResetNeeded("The dreams have not begun: call reset().")
