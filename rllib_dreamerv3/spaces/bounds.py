"""Out-of-bounds observations: counted, logged once, and clipped if configured."""

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
        num_outside: Observations with an element outside, since the last :meth:`take`.
    """

    def __init__(self, space: gym.Space, environment: str, *, clip: bool):
        """Read the bounds.

        Args:
            space: Space of a single environment.
            environment: Name of the environment in the message.
            clip: Whether observations are clipped to the bounds.
        """
        self.num_outside = 0
        self._warned = False
        self._space, self._environment, self._clip = space, environment, clip
        named = enumerate(leaves(space, "observation space"))
        self._boxes = [(i, path, leaf) for i, (path, leaf) in named if _can_be_exceeded(leaf)]

    def check(self, observations: Batch) -> Batch:
        """Count out-of-bounds observations of N environments, and clip them if configured.

        Args:
            observations: Arrays ``[N, ...]``, nested like the space, with its dtypes.

        Returns:
            The same object, or clipped observations.
        """
        if not self._boxes:
            return observations
        values = flatten(self._space, observations)
        any_outside: Any = False
        for i, path, box in self._boxes:
            outside = (values[i] < box.low) | (values[i] > box.high)
            # NaN and infinity are errors, which are reported elsewhere.
            if outside.any() and np.isfinite(values[i]).all():
                any_outside |= outside.reshape(len(outside), -1).any(-1)
                if not self._warned:
                    self._warn(path, box, values[i], outside)
                values[i] = np.clip(values[i], box.low, box.high)
        if any_outside is False:
            return observations
        self.num_outside += int(any_outside.sum())
        return unflatten(self._space, iter(values)) if self._clip else observations

    def take(self) -> int:
        """Return and reset the number of observations that were outside."""
        taken, self.num_outside = self.num_outside, 0
        return taken

    def _warn(self, path: str, box: spaces.Box, value: np.ndarray, outside: np.ndarray) -> None:
        self._warned = True
        env, *element = np.argwhere(outside)[0]
        where = f" in element {', '.join(map(str, element))}" if element else ""
        at = f" at {path!r}" if path else ""
        low, high = box.low[tuple(element)], box.high[tuple(element)]
        handling = (
            "It is clipped, like all others."
            if self._clip
            else "It is used unclipped; .environment(clip_observations=True) clips it. Or widen "
            "the bounds in the environment."
        )
        logger.warning(
            "An observation of %s%s was %.6g%s, outside of its Box from %.6g to %.6g. %s Env "
            "runners count theirs in env_runners/num_observations_outside_lifetime.",
            self._environment,
            at,
            value[(env, *element)],
            where,
            low,
            high,
            handling,
        )


def _can_be_exceeded(space: gym.Space) -> bool:
    """Whether values of the space's dtype can be outside of its bounds."""
    if not isinstance(space, spaces.Box):
        return False
    if space.dtype.kind in "iu":
        whole = np.iinfo(space.dtype)
        return bool((space.low > whole.min).any() or (space.high < whole.max).any())
    return bool(np.isfinite(space.low).any() or np.isfinite(space.high).any())
