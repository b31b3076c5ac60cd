"""Recorded episodes of made-up environments."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.data.episode import Episode
from rllib_dreamerv3.spaces.codecs import Spaces
from rllib_dreamerv3.spaces.nesting import paths, unflatten

NUMBERS = Spaces(spaces.Box(-1.0, 1.0, (3,), np.float32), spaces.Discrete(4, start=2))
NESTED = Spaces(
    spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (64, 64, 3), np.uint8),
            "arm": spaces.Tuple(
                (spaces.Box(-np.inf, np.inf, (2,), np.float32), spaces.MultiDiscrete([3, 2]))
            ),
        }
    ),
    spaces.Dict({"push": spaces.Box(-2.0, 4.0, (2,), np.float32), "grip": spaces.Discrete(2)}),
)


def values(space: gym.Space, n: int, seed: int):
    """N random values of a space, as arrays ``[n, ...]`` nested as the space is."""
    space.seed(seed)
    parts = [part for _, part in paths(space)]
    return unflatten(space, iter([np.stack([x.sample() for _ in range(n)]) for x in parts]))


def episode(of: Spaces = NUMBERS, steps: int = 5, seed: int = 0, **changes) -> Episode:
    """A terminated episode of random values."""
    rng = np.random.default_rng(seed)
    given = {
        "observations": values(of.observation, steps + 1, seed),
        "actions": values(of.action, steps, seed),
        "rewards": rng.normal(size=steps).astype(np.float32),
        "terminated": True,
        "truncated": False,
    }
    return Episode(**(given | changes))
