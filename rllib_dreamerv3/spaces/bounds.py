"""Observations that leave the bounds of their Box: counted, told of once, and clipped if asked."""

import logging
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.spaces.nesting import Batch, flatten, leaves, unflatten

logger = logging.getLogger(__name__)


class ObservationBounds:
    """Compares observations with the bounds that their space declares.

    Attributes:
        left: Observations of which some element was outside, since they were last taken.
    """

    def __init__(self, space: gym.Space, environment: str, *, clip: bool):
        """Reads the bounds.

        Args:
            space: Of a single environment.
            environment: What it is called in the message.
            clip: Whether observations are clipped to the bounds.
        """
        self.left = 0
        self._told = False
        self._space, self._environment, self._clip = space, environment, clip
        named = enumerate(leaves(space, "observation space"))
        self._boxes = [(i, path, leaf) for i, (path, leaf) in named if _can_be_left(leaf)]

    def check(self, observations: Batch) -> Batch:
        """Looks at the observations of N environments.

        Args:
            observations: Arrays ``[N, ...]``, nested as the space is, of its dtypes.

        Returns:
            The same, or with elements inside their bounds where they are to be clipped.
        """
        if not self._boxes:
            return observations
        values = flatten(self._space, observations)
        left: Any = False
        for i, path, box in self._boxes:
            outside = (values[i] < box.low) | (values[i] > box.high)
            # NaN and infinity are errors, which are reported elsewhere.
            if outside.any() and np.isfinite(values[i]).all():
                left |= outside.reshape(len(outside), -1).any(-1)
                if not self._told:
                    self._tell(path, box, values[i], outside)
                values[i] = np.clip(values[i], box.low, box.high)
        if left is False:
            return observations
        self.left += int(left.sum())
        return unflatten(self._space, iter(values)) if self._clip else observations

    def take(self) -> int:
        """Returns, and forgets, the number of observations that were outside."""
        left, self.left = self.left, 0
        return left

    def _tell(self, path: str, box: spaces.Box, value: np.ndarray, outside: np.ndarray) -> None:
        self._told = True
        env, *element = np.argwhere(outside)[0]
        where = f" in element {', '.join(map(str, element))}" if element else ""
        at = f" at {path!r}" if path else ""
        low, high = box.low[tuple(element)], box.high[tuple(element)]
        done = (
            "It is clipped, as all others will be."
            if self._clip
            else "It is learned from as it is; .environment(clip_observations=True) clips it. Or "
            "widen the bounds in the environment."
        )
        logger.warning(
            "An observation of %s%s was %.6g%s, outside of its Box from %.6g to %.6g. %s All that "
            "are outside are counted in env_runners/num_observations_outside_lifetime.",
            self._environment,
            at,
            value[(env, *element)],
            where,
            low,
            high,
            done,
        )


def _can_be_left(space: gym.Space) -> bool:
    """Whether values of the space's type can be outside of it."""
    if not isinstance(space, spaces.Box):
        return False
    if space.dtype.kind in "iu":
        whole = np.iinfo(space.dtype)
        return bool((space.low > whole.min).any() or (space.high < whole.max).any())
    return bool(np.isfinite(space.low).any() or np.isfinite(space.high).any())
