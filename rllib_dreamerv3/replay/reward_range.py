"""The least and the greatest reward so far: they bound what values can be."""

import numpy as np

from rllib_dreamerv3.records import IS_FIRST, REWARD, Columns


class RewardRange:
    """Follows the finite rewards of records, but for the first of an episode, 0 by convention."""

    def __init__(self, reward_min: float = np.inf, reward_max: float = -np.inf):
        """Begin without records, or continue from what `metrics` returned."""
        self._least, self._greatest = reward_min, reward_max

    def add(self, columns: Columns) -> None:
        """Look at records.

        Args:
            columns: Arrays ``[records, ...]``; without rewards nothing happens.
        """
        if REWARD not in columns:
            return
        rewards = columns[REWARD][~columns[IS_FIRST]]
        rewards = rewards[np.isfinite(rewards)]
        self._least = min(self._least, float(rewards.min(initial=np.inf)))
        self._greatest = max(self._greatest, float(rewards.max(initial=-np.inf)))

    def metrics(self) -> dict[str, float]:
        """``reward_min`` and ``reward_max``; nothing before the first reward."""
        if self._least > self._greatest:
            return {}
        return {"reward_min": self._least, "reward_max": self._greatest}
