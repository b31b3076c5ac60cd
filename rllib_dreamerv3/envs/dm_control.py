"""The DeepMind Control Suite, through Shimmy, the Farama Foundation's adapter to Gymnasium.

Source: arXiv 2301.04104v1, appendix on proprio and visual control; 2023 code.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
from gymnasium.wrappers import AddRenderObservation

from rllib_dreamerv3.envs.env_config import EnvOptions
from rllib_dreamerv3.envs.mujoco_renderer import check_renderer, prepare_renderer

_NAMESPACE = "dm_control/"
_NO_TASK = f"{_NAMESPACE}compatibility-env-v0"  # Shimmy's name for tasks made elsewhere


@dataclass(frozen=True)
class DmControlOptions(EnvOptions):
    """Options of a task; the defaults are those of the papers' proprio curves.

    Attributes:
        action_repeat: Control steps for which an action is repeated (and whose rewards are summed).
            An episode of 1,000 control steps has 500 decisions with the default.
        pixels: Whether to observe one image instead of positions and velocities.
        image_size: Height and width of the image, in pixels.
        camera: Number of the camera; None for the benchmark's: 2 for the quadruped, which occludes
            itself in the others, 0 for all other tasks.
    """

    action_repeat: int = 2
    pixels: bool = False
    image_size: int = 64
    camera: int | None = None

    benchmark: ClassVar[str] = "DeepMind Control Suite"
    least = {"action_repeat": 1, "image_size": 1, "camera": 0}  # noqa: RUF012
    rllibs = {  # noqa: RUF012
        "from_pixels": "pixels",
        "frame_skip": "action_repeat",
        "height": "image_size",
        "width": "image_size",
        "camera_id": "camera",
    }


class ActionRepeat(gym.Wrapper):
    """Repeats each action and sums the rewards, up to the end of the episode."""

    def __init__(self, env: gym.Env, repeat: int) -> None:
        """Wrap ``env``; each step performs up to ``repeat`` of its steps."""
        super().__init__(env)
        self._repeat = repeat

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Return the last observation, the sum of the rewards, the ends, and the last info."""
        total = 0.0
        for _ in range(self._repeat):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


def _register_with_gymnasium() -> None:
    prepare_renderer()  # Before importing dm_control
    import shimmy

    gym.register_envs(shimmy)


def dm_control_ids() -> Collection[str]:
    """Return all ids that Shimmy registers, e.g. ``dm_control/finger-spin-v0``."""
    _register_with_gymnasium()
    return [name for name in gym.registry if name.startswith(_NAMESPACE) and name != _NO_TASK]


def check_pixels(options: DmControlOptions) -> None:
    """Raise ConfigError if ``pixels`` is set, but this machine cannot render images."""
    if options.pixels:
        check_renderer()


def make_dm_control(env_id: str, options: DmControlOptions) -> gym.Env:
    """Create one task.

    Args:
        env_id: E.g. ``dm_control/finger-spin-v0``.
        options: Action repeat, and options of images.

    Returns:
        An environment whose observations are a Dict of float64 vectors, or images
        ``uint8 [image_size, image_size, 3]``. The time limit truncates; only tasks with their own
        end (a dm_env discount of 0) terminate.
    """
    _register_with_gymnasium()
    if not options.pixels:
        return ActionRepeat(gym.make(env_id, disable_env_checker=True), options.action_repeat)
    camera = options.camera
    if camera is None:
        camera = 2 if env_id.startswith(f"{_NAMESPACE}quadruped-") else 0
    env = gym.make(
        env_id,
        disable_env_checker=True,
        render_mode="rgb_array",
        render_kwargs={
            "height": options.image_size,
            "width": options.image_size,
            "camera_id": camera,
        },
    )
    # In this order only the last frame of each action repeat is drawn.
    return AddRenderObservation(ActionRepeat(env, options.action_repeat))
