"""Counts and times of an env runner's calls of ``sample()``, summed up from report to report."""

import time

from ray.rllib.utils.metrics import SAMPLE_TIMER, TIME_BETWEEN_SAMPLING


class SamplingTotals:
    """Sums over the calls of ``sample()`` since the last report.

    RLlib logs a dozen values in each call, which takes as long as a small policy takes to act.
    The sums are logged once a report instead, under the same keys; times are means over calls.

    Attributes:
        calls: Calls that have ended.
        env_steps: Actions executed in them.
        episodes: Episodes that ended in them.
    """

    def __init__(self) -> None:
        """All sums are zero."""
        self.calls = 0
        self.env_steps = 0
        self.episodes = 0
        self._seconds = {SAMPLE_TIMER: 0.0, TIME_BETWEEN_SAMPLING: 0.0}
        self._began = self._ended = time.perf_counter()

    def begin_call(self) -> None:
        """Ends the time between two calls."""
        self._began = time.perf_counter()
        self._seconds[TIME_BETWEEN_SAMPLING] += self._began - self._ended

    def end_call(self, env_steps: int, episodes: int) -> None:
        """Adds a call, in which so many actions were executed and so many episodes ended."""
        self._ended = time.perf_counter()
        self._seconds[SAMPLE_TIMER] += self._ended - self._began
        self.calls += 1
        self.env_steps += env_steps
        self.episodes += episodes

    def mean_seconds(self) -> dict[str, float]:
        """Mean duration of a call and of the time before it, in seconds, by RLlib's keys.

        At least one call must have ended.
        """
        return {name: seconds / self.calls for name, seconds in self._seconds.items()}
