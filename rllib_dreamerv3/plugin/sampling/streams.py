"""Collects an env runner's output: chunks of records, ended episodes, and totals."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.rllib.utils.metrics import SAMPLE_TIMER, TIME_BETWEEN_SAMPLING

from rllib_dreamerv3.records import Columns, EndedEpisode, RecordChunk

# Limit on numbers from infos, as environments with large infos would flood the results.
_MAX_NUMBERS = 64


class RunningEpisodes:
    """Accumulates returns, lengths and infos of the running episodes of N environments."""

    def __init__(self, num_envs: int):
        """Begin an episode in each environment.

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
        """Add a step of each environment.

        Args:
            rewards: ``[N]``.
            is_first: Where the step was a reset, ``[N]`` bool.
            infos: Of each environment.
        """
        self._length += ~is_first
        self._return += rewards
        for i, info in enumerate(infos):
            if info and not is_first[i]:
                self._add_numbers(info, self._last[i], self._sum[i])

    def end(self, i: int) -> EndedEpisode:
        """End the episode of an environment, and begin the next one."""
        now = time.perf_counter()
        numbers = {
            name: (x, self._sum[i][name])
            for name, x in self._last[i].items()
            if math.isfinite(self._sum[i][name])  # The sum of large numbers may be infinite.
        }
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
            if not isinstance(name, str):  # Results and counters have only such keys.
                continue
            number = _finite_number(value)
            if number is not None and (name in last or len(last) < _MAX_NUMBERS):
                last[name] = number
                total[name] = total.get(name, 0.0) + number


def _finite_number(value: Any) -> float | None:
    """Return a number, also one in an array without dimensions; None for anything else."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if not isinstance(value, float | int | np.integer | np.floating | np.bool_):
        return None
    try:
        number = float(value)
    except OverflowError:  # Python's ints have no limit.
        return None
    return number if math.isfinite(number) else None


class SamplingTotals:
    """Sums over the calls of ``sample()`` since the last report.

    RLlib logs a dozen values in each call, which takes as long as a step of a small policy. These
    sums are logged once per report instead, under the same keys; times are means over calls.

    Attributes:
        calls: Calls that have ended.
        env_steps: Actions executed in them.
        episodes: Episodes that ended in them.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.env_steps = 0
        self.episodes = 0
        self._seconds = {SAMPLE_TIMER: 0.0, TIME_BETWEEN_SAMPLING: 0.0}
        self._began = self._ended = time.perf_counter()

    def begin_call(self) -> None:
        self._began = time.perf_counter()
        self._seconds[TIME_BETWEEN_SAMPLING] += self._began - self._ended

    def end_call(self, env_steps: int, episodes: int) -> None:
        """Mark the end of a call, with the actions executed and episodes ended in it."""
        self._ended = time.perf_counter()
        self._seconds[SAMPLE_TIMER] += self._ended - self._began
        self.calls += 1
        self.env_steps += env_steps
        self.episodes += episodes

    def mean_seconds(self) -> dict[str, float]:
        """Return the mean duration of calls and of the time between them, by RLlib's keys.

        At least one call must have ended.
        """
        return {name: seconds / self.calls for name, seconds in self._seconds.items()}


class Streams:
    """Collects the records of N environments, with their positions in the streams.

    Attributes:
        prefix: Prefix of the names of all N streams.
    """

    def __init__(self, prefix: str, num_envs: int):
        """Start new streams.

        Args:
            prefix: A name that no earlier stream has.
            num_envs: N.
        """
        self.prefix = prefix
        self._end = np.zeros(num_envs, int)
        self._ended: list[list[EndedEpisode]] = [[] for _ in range(num_envs)]
        self._begin()

    def add(self, columns: Columns, of: np.ndarray | None = None) -> None:
        """Add a record to every stream, or to some.

        Args:
            columns: The records ``[N, ...]``.
            of: Environments with a record, ``[N]`` bool; by default all.
        """
        self._steps.append(columns)
        present = np.ones(len(self._end), bool) if of is None else of
        self._present.append(present)
        self._end += present

    def end_episode(self, i: int, episode: EndedEpisode) -> None:
        """Add an ended episode to the environment's next chunk."""
        self._ended[i].append(episode)

    def drop_last(self, of: np.ndarray) -> None:
        """Drop the records of some environments from the last addition, which must have them.

        Args:
            of: Environments whose record is dropped, ``[N]`` bool.
        """
        self._present[-1] = self._present[-1] & ~of
        self._end -= of

    def take(self) -> list[RecordChunk]:
        """Return and clear the added records: one chunk for each stream that has any."""
        steps, present, start = self._steps, np.array(self._present), self._start
        self._begin()
        if not steps:
            return []
        stacked = {name: np.array([step[name] for step in steps]) for name in steps[0]}
        complete = present.all()
        ended, self._ended = self._ended, [[] for _ in self._ended]
        return [
            RecordChunk(
                f"{self.prefix}-{i}",
                int(start[i]),
                {name: x[:, i] if complete else x[present[:, i], i] for name, x in stacked.items()},
                tuple(ended[i]),
            )
            for i in np.flatnonzero(present.any(axis=0)).tolist()
        ]

    def _begin(self) -> None:
        self._start = self._end.copy()
        self._steps: list[Columns] = []
        self._present: list[np.ndarray] = []
