"""An environment that pays the same for every action, for runs whose returns are known."""

from typing import Any

import gymnasium as gym
import numpy as np

STEPS = 4
"""Env steps of an episode."""


class Paying(gym.Env):
    """Pays ``env_config["pays"]`` a step, else 1; prints ``env_config["says"]`` at first."""

    observation_space = gym.spaces.Box(0, STEPS, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config: dict[str, Any]):
        self._pays = config.get("pays", 1.0)
        if "says" in config:
            print(config["says"])  # noqa: T201

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._t = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._t += 1
        return self._seen(), self._pays, self._t == STEPS, False, {}

    def _seen(self) -> np.ndarray:
        return np.array([self._t], np.float32)
