"""The episodes that are going on: their returns, lengths, and the numbers in ``info``."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rllib_dreamerv3.records import EndedEpisode

# Environments that put whole tables into their infos would fill the results.
_MOST_NUMBERS = 64


class RunningEpisodes:
    """Follows the episodes of N environments."""

    def __init__(self, num_envs: int):
        """Begins an episode in each.

        Args:
            num_envs: N.
        """
        self._length = np.zeros(num_envs, int)
        self._return = np.zeros(num_envs)
        self._started = np.full(num_envs, time.perf_counter())
        self._last: list[dict[str, float]] = [{} for _ in range(num_envs)]
        self._sum: list[dict[str, float]] = [{} for _ in range(num_envs)]

    def step(
        self, rewards: np.ndarray, is_first: np.ndarray, infos: Sequence[Mapping[str, Any]]
    ) -> None:
        """Adds a step of each environment.

        Args:
            rewards: ``[N]``.
            is_first: Where it was no step but a reset, ``[N]`` bool.
            infos: Of each environment.
        """
        self._length += ~is_first
        self._return += rewards
        for i, info in enumerate(infos):
            if info and not is_first[i]:
                self._add_numbers(info, self._last[i], self._sum[i])

    def end(self, i: int) -> EndedEpisode:
        """Ends the episode of an environment, and begins the next one."""
        now = time.perf_counter()
        numbers = {name: (x, self._sum[i][name]) for name, x in self._last[i].items()}
        episode = EndedEpisode(
            float(self._return[i]), int(self._length[i]), now - self._started[i], numbers
        )
        self._length[i], self._return[i], self._started[i] = 0, 0.0, now
        self._last[i], self._sum[i] = {}, {}
        return episode

    @staticmethod
    def _add_numbers(
        info: Mapping[str, Any], last: dict[str, float], total: dict[str, float]
    ) -> None:
        for name, value in info.items():
            if not isinstance(value, float | int | np.number | np.bool_) or not np.isfinite(value):
                continue
            if name in last or len(last) < _MOST_NUMBERS:
                last[name] = float(value)
                total[name] = total.get(name, 0.0) + last[name]
