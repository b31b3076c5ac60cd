"""What is said of a run once, beside its progress: how long it will take, and what looks wrong."""

from collections.abc import Iterator, Mapping
from typing import Any

from rllib_cli.progress import TrialProgress, look_up
from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import UPDATES, History

# After so many updates, and results with some, their rate is known.
_UPDATES_TO_KNOW = 3
_RESULTS_TO_KNOW = 3
# Of shorter runs the table says enough.
_LONG_S = 3600.0
# Results from one look for findings to the next.
_EVERY = 10

_FIRST_LOOK = "tuned_examples/first_look.yaml"
_ENV_OF_FIRST_LOOK = "Catch-v0"


class Advice:
    """Follows the trials of an experiment."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}
        self._told: set[tuple[str, str]] = set()

    def take(
        self,
        trial_id: str,
        result: Mapping[str, Any],
        trial: TrialProgress,
        stop: Mapping[str, Any],
    ) -> Iterator[str]:
        """Takes in a result.

        Args:
            trial_id: The trial that has reported it.
            result: The result.
            trial: Its progress, the result included.
            stop: Stop criteria.

        Yields:
            What is to be said now, and will not be said again.
        """
        history = self._histories.setdefault(trial_id, History())
        history.add(result)
        if len(history.values(UPDATES)) >= _RESULTS_TO_KNOW:
            estimate = self._estimate(result, trial, stop)
            if estimate and self._is_news(trial_id, "estimate"):
                yield estimate
        if len(history) % _EVERY == 0:
            for finding in findings(history):
                if self._is_news(trial_id, finding.name):
                    yield f"{trial.name}: {finding}"

    def _is_news(self, trial_id: str, what: str) -> bool:
        key = (trial_id, what)
        if key in self._told:
            return False
        self._told.add(key)
        return True

    @staticmethod
    def _estimate(
        result: Mapping[str, Any], trial: TrialProgress, stop: Mapping[str, Any]
    ) -> str | None:
        updates = look_up(result, UPDATES)
        rate, to_go = trial.rate(UPDATES), trial.time_to_go(stop)
        if not updates or updates < _UPDATES_TO_KNOW or not rate or to_go is None:
            return None
        seconds, criterion = to_go
        if seconds < _LONG_S:
            return None
        estimate = (
            f"{1 / rate:.2g} s an update: {criterion} {stop[criterion]:,.0f} is reached in about "
            f"{long_duration(seconds)} on this machine."
        )
        if (result.get("config") or {}).get("env") == _ENV_OF_FIRST_LOOK:
            return estimate
        return f"{estimate} For a first result in minutes: rllib train file {_FIRST_LOOK}"


def long_duration(seconds: float) -> str:
    """A time as people say it, e.g. ``4.0 days``."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
