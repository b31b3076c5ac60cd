"""Catch as images: the smallest game from pixels, for a first look at training."""

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.envs.env_config import EnvOptions

CATCH_IDS = ("Catch-v0",)
ROWS, COLUMNS = 10, 5
_BALL, _PADDLE = (255, 255, 255), (0, 160, 255)


@dataclass(frozen=True)
class CatchOptions(EnvOptions):
    """Options of rendering.

    Attributes:
        image_size: Height and width of the observation, in pixels.
        render_mode: ``rgb_array`` or None, without effect on the observation.
    """

    image_size: int = 32
    render_mode: str | None = None

    benchmark: ClassVar[str] = "Catch"
    least = {"image_size": ROWS}  # noqa: RUF012


class Catch(gym.Env):
    """A ball falls straight down a board of 10 x 5 fields; the paddle in the last row catches it.

    The observation is a picture ``uint8 [size, size, 3]``: black, with a white ball and a blue
    paddle. Actions: left, stay, right. An episode has 9 env steps and ends with a reward of 1 if
    the ball was caught, else -1. A policy that ignores the picture gets about -0.6, a perfect one
    1. The info of the last step has ``is_success``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012 (Gymnasium's)
    action_space = spaces.Discrete(3)

    def __init__(self, options: CatchOptions):
        self.render_mode = options.render_mode
        self._size = options.image_size
        self.observation_space = spaces.Box(0, 255, (self._size, self._size, 3), np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Drop a new ball from a random column; the paddle starts in the middle."""
        super().reset(seed=seed)
        self._row, self._column = 0, int(self.np_random.integers(COLUMNS))
        self._paddle = COLUMNS // 2
        return self.render(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the paddle, then the ball by one row."""
        self._paddle = int(np.clip(self._paddle + action - 1, 0, COLUMNS - 1))
        self._row += 1
        if self._row < ROWS - 1:
            return self.render(), 0.0, False, False, {}
        caught = self._column == self._paddle
        return self.render(), 1.0 if caught else -1.0, True, False, {"is_success": caught}

    def render(self) -> np.ndarray:
        """Return the board as a picture."""
        size = self._size
        picture = np.zeros((size, size, 3), np.uint8)
        for row, column, colour in (
            (ROWS - 1, self._paddle, _PADDLE),
            (self._row, self._column, _BALL),
        ):
            y, x = row * size // ROWS, column * size // COLUMNS
            picture[y : (row + 1) * size // ROWS, x : (column + 1) * size // COLUMNS] = colour
        return picture


def make_catch(env_id: str, options: CatchOptions) -> gym.Env:
    """Create the game; there is only one id."""
    del env_id
    return Catch(options)
