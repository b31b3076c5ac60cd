"""What an env runner counts from one report to the next."""

import time

from ray.rllib.utils.metrics import SAMPLE_TIMER, TIME_BETWEEN_SAMPLING


class Tally:
    """Counts and times calls of ``sample()``.

    RLlib logs a dozen values in each call, which takes as long as a small policy takes to act.
    Summed up here they are logged once a report, under the same keys and with the same totals;
    times are the mean of the calls since the report before.

    Attributes:
        calls: Calls that have ended.
        env_steps: Actions executed in them.
        episodes: Episodes that ended in them.
    """

    def __init__(self) -> None:
        """Begins with nothing."""
        self.env_steps = 0
        self.episodes = 0
        self.calls = 0
        self._seconds = {SAMPLE_TIMER: 0.0, TIME_BETWEEN_SAMPLING: 0.0}
        self._began = self._ended = time.perf_counter()

    def begin(self) -> None:
        """A call begins."""
        self._began = time.perf_counter()
        self._seconds[TIME_BETWEEN_SAMPLING] += self._began - self._ended

    def end(self, env_steps: int, episodes: int) -> None:
        """A call ends that took env steps, and in which episodes ended."""
        self._ended = time.perf_counter()
        self._seconds[SAMPLE_TIMER] += self._ended - self._began
        self.calls += 1
        self.env_steps += env_steps
        self.episodes += episodes

    def mean_seconds(self) -> dict[str, float]:
        """Seconds of a call and between two, by RLlib's keys; at least one call has ended."""
        return {name: seconds / self.calls for name, seconds in self._seconds.items()}
