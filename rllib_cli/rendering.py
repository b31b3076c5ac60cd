"""Rendering of environments: a window, or frames for a video."""

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

# For environments without render_fps.
_DEFAULT_FPS = 30
# Minimum pixels of a frame's longer side; observations of 64x64 would be too small to watch.
_MIN_SIDE = 256


def make_rendering(config: Any, mode: RenderMode | None) -> VectorEnv:
    """Create the environments of a config, with a render mode if they support it.

    Their supported modes are known only once they exist, so they are created a second time if they
    need the mode as an argument.

    Args:
        config: The config; ``render_mode`` is added to its ``env_config``.
        mode: "human" for a window, "rgb_array" for frames; None for neither.

    Returns:
        The environments. They may lack the mode "rgb_array": image observations also make a video.

    Raises:
        ConfigError: If they cannot be shown in a window.
        EnvironmentFailedError: If they cannot be created.
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
            has = "it lists the render mode 'human', but does not accept it from its env_config"
        raise ConfigError(
            f"{name_of_env(config.env)} cannot be shown in a window: {has}. Remove --render; "
            "--video FILE.mp4 makes a video if there are frames or image observations."
        )
    return env


def _check_display(env: Any) -> None:
    """Raise ConfigError without a display, where pygame, which Gymnasium uses, may crash."""
    drivers = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    if sys.platform == "linux" and env in gym.registry and not any(map(os.environ.get, drivers)):
        raise ConfigError(
            f"{env} cannot be shown in a window: there is no display, neither DISPLAY nor "
            "WAYLAND_DISPLAY is set. --video FILE.mp4 makes a video instead."
        )


def _takes_render_mode(config: Any) -> bool:
    """Whether ``env_config`` may have ``render_mode``; most benchmarks do not accept it."""
    if not is_benchmark(config.env) or is_registered_with_tune(config.env):
        return True
    return hasattr(options_of(config.env, config.env_config), "render_mode")


class Camera:
    """Creates frames of an environment: its rendering, else its image observations.

    Attributes:
        frames_a_second: Frame rate of the environment.
    """

    def __init__(self, env: VectorEnv, observations: ObservationCodec, name: str):
        """Choose the source of the frames.

        Args:
            env: A vector of one environment.
            observations: Codec of its observations.
            name: The environment's name, for messages.

        Raises:
            ConfigError: If it neither renders frames nor has image observations.
        """
        self._env, self._observations, self._name = env, observations, name
        self._renders = env.render_mode == "rgb_array"
        self.frames_a_second = float(env.metadata.get("render_fps") or _DEFAULT_FPS)
        if not self._renders and not observations.layout.images:
            raise ConfigError(
                f"There is no video of {name}: it has no render mode 'rgb_array', and its "
                "observations have no image. Remove --video, or add that mode to the environment "
                "(metadata['render_modes'], render_mode and render())."
            )

    def frame(self, observation: Any) -> np.ndarray:
        """Create a frame of the environment's current state.

        Args:
            observation: The current observation, ``[1, ...]``.

        Returns:
            uint8 ``[height, width, 3]``; small frames are enlarged by repeating pixels.

        Raises:
            EnvironmentDataError: If ``render()`` returns something else.
        """
        frame = self._frame(observation)
        times = max(1, _MIN_SIDE // max(frame.shape[:2]))
        return frame.repeat(times, 0).repeat(times, 1)

    def _frame(self, observation: Any) -> np.ndarray:
        if not self._renders:
            columns = self._observations.encode(observation)
            first = {key: column[0] for key, column in columns.items()}
            return picture_of(self._observations.layout.images, first)
        (frame,) = self._env.render() or (None,)
        frame = np.asarray(frame)
        if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
            raise EnvironmentDataError(
                f"render() of {self._name} returned an array of shape {frame.shape} and type "
                f"{frame.dtype}; in the render mode 'rgb_array' it must return uint8 "
                "[height, width, 3]."
            )
        return frame
