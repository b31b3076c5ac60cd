"""Catch, drawn: the smallest game that must be seen to be played.

Importing this module registers it; RLlib and Gymnasium find it as "catch:Catch-v0" from here.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

ROWS, COLUMNS = 10, 5
SIDE = 64


class Catch(gym.Env):
    """A ball falls straight down a board of 10 x 5 fields; the paddle in the last row catches it.

    The board is shown as a picture 64 x 64 x 3, the ball in red, the paddle in blue. Actions: left,
    stay, right. An episode has 9 env steps and ends with a reward of 1 for a ball that was caught,
    or -1. A policy that does not look gets about -0.6, a perfect one 1.
    """

    observation_space = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
    action_space = spaces.Discrete(3)

    def __init__(self, render_mode: str | None = None):
        """Creates the game; pictures are what it shows anyway."""
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Drops a new ball from a random column; the paddle starts in the middle."""
        super().reset(seed=seed)
        self._row, self._column = 0, int(self.np_random.integers(COLUMNS))
        self._paddle = COLUMNS // 2
        return self._picture(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves the paddle, then the ball by one row."""
        self._paddle = int(np.clip(self._paddle + action - 1, 0, COLUMNS - 1))
        self._row += 1
        ended = self._row == ROWS - 1
        reward = (1.0 if self._column == self._paddle else -1.0) if ended else 0.0
        return self._picture(), reward, ended, False, {}

    def _picture(self) -> np.ndarray:
        picture = np.zeros((SIDE, SIDE, 3), np.uint8)
        for row, column, colour in ((ROWS - 1, self._paddle, 2), (self._row, self._column, 0)):
            y, x = row * SIDE // ROWS, column * SIDE // COLUMNS
            picture[y : (row + 1) * SIDE // ROWS, x : (column + 1) * SIDE // COLUMNS, colour] = 255
        return picture


gym.register("Catch-v0", entry_point=Catch)
