"""One-time messages about a run: its estimated duration, and the doctor's findings."""

from collections.abc import Iterator, Mapping
from typing import Any

from rllib_cli.progress import TrialProgress
from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import UPDATES, History

# Shorter runs get no estimate; the table's time to go is enough.
_LONG_RUN_S = 3600.0
# Results between two searches for findings.
_FINDINGS_EVERY = 10

_FIRST_LOOK = "tuned_examples/first_look.yaml"
_ENV_OF_FIRST_LOOK = "Catch-v0"


class Advice:
    """Collects the results of an experiment's trials and yields each message once."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}
        self._shown: set[tuple[str, str]] = set()

    def take(
        self,
        trial_id: str,
        result: Mapping[str, Any],
        trial: TrialProgress,
        stop: Mapping[str, Any],
    ) -> Iterator[str]:
        """Adds a result.

        Args:
            trial_id: The trial's id.
            result: The result.
            trial: The trial's progress, including this result.
            stop: Stop criteria.

        Yields:
            New messages.
        """
        history = self._histories.setdefault(trial_id, History())
        history.add(result)
        estimate = self._estimate(result, trial, stop)
        if estimate and self._is_new(trial_id, "estimate"):
            yield estimate
        if len(history) % _FINDINGS_EVERY == 0:
            for finding in findings(history):
                if self._is_new(trial_id, finding.name):
                    yield f"{trial.name}: {finding}"

    def _is_new(self, trial_id: str, what: str) -> bool:
        key = (trial_id, what)
        if key in self._shown:
            return False
        self._shown.add(key)
        return True

    @staticmethod
    def _estimate(
        result: Mapping[str, Any], trial: TrialProgress, stop: Mapping[str, Any]
    ) -> str | None:
        rate, to_go = trial.rate(UPDATES), trial.time_to_go(stop)
        if not rate or to_go is None:
            return None
        seconds, criterion = to_go
        if seconds < _LONG_RUN_S:
            return None
        estimate = (
            f"{1 / rate:.2g} s an update: {criterion} {stop[criterion]:,.0f} is reached in about "
            f"{long_duration(seconds)} on this machine."
        )
        if (result.get("config") or {}).get("env") == _ENV_OF_FIRST_LOOK:
            return estimate
        return f"{estimate} For a first result in minutes: rllib train file {_FIRST_LOOK}"


def long_duration(seconds: float) -> str:
    """A duration in its largest suitable unit, e.g. ``4.0 days``."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
