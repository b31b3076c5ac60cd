"""MountainCar for DreamerV3: mountain_car.yaml explores it, see docs/exploration.md."""

from typing import Any

import gymnasium as gym
from gymnasium.wrappers import RescaleObservation


def scaled(**options: Any) -> gym.Env:
    """Create MountainCar-v0 with position and velocity from -5 to 5.

    The velocity, of at most 0.07, would hardly contribute to the world model's squared errors.

    Args:
        **options: Of MountainCar-v0.
    """
    return RescaleObservation(gym.make("MountainCar-v0", **options), -5.0, 5.0)
