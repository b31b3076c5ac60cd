"""Crafter (Hafner, arXiv 2109.06780): an open world with 22 achievements, viewed from above."""

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from rllib_dreamerv3.envs.env_config import EnvOptions

CRAFTER_IDS = ("crafter/CrafterReward-v1", "crafter/CrafterNoReward-v1")
"""Crafter's names of its two variants, as Gymnasium ids."""


@dataclass(frozen=True)
class CrafterOptions(EnvOptions):
    """Options of the game; the defaults are the benchmark's.

    Attributes:
        image_size: Height and width of the observation, in pixels.
        length: Steps after which an episode is truncated.
    """

    image_size: int = 64
    length: int = 10_000

    benchmark: ClassVar[str] = "Crafter"
    least = {"image_size": 9, "length": 1}  # noqa: RUF012 (the view is 9 tiles wide)


class CrafterEnv(gym.Env):
    """Crafter with Gymnasium's interface instead of that of the old Gym.

    Observations are images ``uint8 [size, size, 3]``, actions ``Discrete(17)``. Death terminates,
    the step limit truncates. The info of an episode's last step has ``achievements``: the number of
    times each was reached.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's)
    render_mode = "rgb_array"

    def __init__(self, *, reward: bool, options: CrafterOptions) -> None:
        """Load the game.

        Args:
            reward: Whether achievements and health are rewarded.
            options: Size of the image, length of an episode.
        """
        self._reward, self._options = reward, options
        self._game = self._new_game(seed=None)
        self._image = np.zeros((options.image_size, options.image_size, 3), np.uint8)
        self.observation_space = gym.spaces.Box(0, 255, self._image.shape, np.uint8)
        self.action_space = gym.spaces.Discrete(len(self._game.action_names))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Create a new world: the first of the seed, or without a seed the next of the last."""
        super().reset(seed=seed)
        if seed is not None:
            self._game = self._new_game(seed)
        self._image = self._game.reset()
        return self._image, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play one action."""
        self._image, reward, done, info = self._game.step(int(action))
        dead = bool(info["discount"] == 0)
        end_info = {"achievements": info["achievements"]} if done else {}
        return self._image, float(reward), dead, bool(done) and not dead, end_info

    def render(self) -> np.ndarray:
        """Return the current observation."""
        return self._image

    def _new_game(self, seed: int | None) -> Any:
        import crafter

        size = (self._options.image_size, self._options.image_size)
        return crafter.Env(size=size, reward=self._reward, length=self._options.length, seed=seed)


def make_crafter(env_id: str, options: CrafterOptions) -> gym.Env:
    """Create one environment.

    Args:
        env_id: One of :data:`CRAFTER_IDS`.
        options: Size of the image, length of an episode.
    """
    return CrafterEnv(reward=env_id == CRAFTER_IDS[0], options=options)
