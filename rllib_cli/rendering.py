"""What people see of an environment: a window, or frames for a video."""

import os
import sys
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

from rllib_dreamerv3.envs.checked import name_of_env
from rllib_dreamerv3.envs.registry import is_benchmark, options_of
from rllib_dreamerv3.errors import ConfigError, EnvironmentDataError
from rllib_dreamerv3.plugin.sampling.environments import (
    env_context,
    is_registered_with_tune,
    make_environments,
)
from rllib_dreamerv3.reports.pictures import picture_of
from rllib_dreamerv3.spaces.codecs import ObservationCodec

RenderMode = Literal["human", "rgb_array"]

# Of environments that do not say how fast they are to be seen.
_FRAMES_A_SECOND = 30
# Pixels of the longer side; 64 of them are a stamp on a screen.
_LEAST_SIDE = 256


def make_rendering(config: Any, mode: RenderMode | None) -> VectorEnv:
    """Makes the environments of a config, with a render mode if they have it.

    Whether they have it is known when there is one: they are made twice, where they have to be
    told of it.

    Args:
        config: Of which the ``env_config`` gets the ``render_mode``.
        mode: "human" for a window, "rgb_array" for frames; None for neither.

    Returns:
        The environments. Without the mode "rgb_array" they are returned all the same: their
        observations may be pictures.

    Raises:
        ConfigError: If they cannot be shown in a window.
        EnvironmentFailedError: If they cannot be made.
    """
    env = make_environments(config, env_context(config, 0))
    if mode is None or env.render_mode == mode:
        return env
    modes = list(env.metadata.get("render_modes") or [])
    if mode in modes and _takes_render_mode(config):
        env.close()
        if mode == "human":
            _check_display(config.env)
        config.environment(env_config={**config.env_config, "render_mode": mode})
        env = make_environments(config, env_context(config, 0))
        if env.render_mode == mode:
            return env
    if mode == "human":
        env.close()
        has = f"its render modes are {', '.join(modes)}" if modes else "it has no render modes"
        if mode in modes:
            has = "it names the render mode 'human', but does not take it from its env_config"
        raise ConfigError(
            f"{name_of_env(config.env)} cannot be shown in a window: {has}. Leave --render out; "
            "--video FILE.mp4 makes a video where there are frames or image observations."
        )
    return env


def _check_display(env: Any) -> None:
    """Refuses windows where none can be: pygame, which Gymnasium draws with, may crash there."""
    drivers = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    if sys.platform == "linux" and env in gym.registry and not any(map(os.environ.get, drivers)):
        raise ConfigError(
            f"{env} cannot be shown in a window: there is no display, neither DISPLAY nor "
            "WAYLAND_DISPLAY is set. --video FILE.mp4 makes a video instead."
        )


def _takes_render_mode(config: Any) -> bool:
    """Whether the mode can be an option of the environment; of most benchmarks it is none."""
    if not is_benchmark(config.env) or is_registered_with_tune(config.env):
        return True
    return hasattr(options_of(config.env, config.env_config), "render_mode")


class Camera:
    """Takes pictures of an environment: as it draws itself, else of its image observations.

    Attributes:
        frames_a_second: How fast the environment is meant to be seen.
    """

    def __init__(self, env: VectorEnv, observations: ObservationCodec, name: str):
        """Chooses what to take pictures of.

        Args:
            env: A vector of one environment.
            observations: Codec of its observations.
            name: What it is called.

        Raises:
            ConfigError: If it neither draws itself nor has image observations.
        """
        self._env, self._observations, self._name = env, observations, name
        self._draws_itself = env.render_mode == "rgb_array"
        self.frames_a_second = float(env.metadata.get("render_fps") or _FRAMES_A_SECOND)
        if not self._draws_itself and not observations.layout.images:
            raise ConfigError(
                f"There is nothing of {name} to make a video of: it has no render mode "
                "'rgb_array', and its observations have no image. Leave --video out, or give the "
                "environment that mode (metadata['render_modes'], render_mode and render())."
            )

    def frame(self, observation: Any) -> np.ndarray:
        """A picture of the environment as it is now.

        Args:
            observation: The current one, with an axis of one environment.

        Returns:
            uint8 ``[height, width, 3]``, small ones enlarged by repeating pixels.

        Raises:
            EnvironmentDataError: If the environment draws something else.
        """
        frame = self._frame(observation)
        times = max(1, _LEAST_SIDE // max(frame.shape[:2]))
        return frame.repeat(times, 0).repeat(times, 1)

    def _frame(self, observation: Any) -> np.ndarray:
        if not self._draws_itself:
            columns = self._observations.encode(observation)
            first = {key: column[0] for key, column in columns.items()}
            return picture_of(self._observations.layout.images, first)
        (frame,) = self._env.render() or (None,)
        frame = np.asarray(frame)
        if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
            raise EnvironmentDataError(
                f"render() of {self._name} returned an array of shape {frame.shape} and type "
                f"{frame.dtype}; in the render mode 'rgb_array' it has to be uint8 "
                "[height, width, 3]."
            )
        return frame
