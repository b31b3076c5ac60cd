"""Results of a trial, by env steps."""

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.run_files import checked

RESULTS_FILE = "result.json"
ENV_STEPS = "num_env_steps_sampled_lifetime"
UPDATES = "num_grad_updates_lifetime"
SECONDS = "time_total_s"

# A result takes some ten kilobytes, the file of a run of weeks about a gigabyte.
_MAX_LINE = 10_000_000
_MAX_BYTES = 20_000_000_000


def flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield flattened keys and values, e.g. ``env_runners/episode_return_mean``."""
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


class History:
    """The results of one trial, oldest first.

    Attributes:
        config: The options it was run with; empty before the first result.
    """

    def __init__(self, results: Iterable[Mapping[str, Any]] = ()):
        """Take results as ``train()`` returns them."""
        self.config: Mapping[str, Any] = {}
        # Dicts of a week's results would take a gigabyte. NaN marks values that a result lacks.
        self._columns: dict[str, array[float]] = {}
        self._length = 0
        for result in results:
            self.add(result)

    @classmethod
    def read(cls, directory: Path) -> "History":
        """Read the results in a trial's directory.

        Raises:
            CheckpointError: If there are none, or it is not a file of this directory.
        """
        try:
            path = checked(directory / RESULTS_FILE, directory, _MAX_BYTES)
        except OSError as error:
            raise CheckpointError(
                f"{directory} has no {RESULTS_FILE}: it is not a trial's directory."
            ) from error
        history = cls()
        # Each line has the whole config, so the file is much larger than its numbers.
        with open(path, encoding="utf-8", errors="replace") as file:
            while line := file.readline(_MAX_LINE):
                try:
                    result = json.loads(line)
                except (ValueError, RecursionError):  # The last line of a run that was killed.
                    continue
                if isinstance(result, dict) and isinstance(result.get("config", {}), dict):
                    history.add(result)
        return history

    def add(self, result: Mapping[str, Any]) -> None:
        """Add a result; remove those of later env steps, which a resumed run repeats."""
        self.config = result.get("config") or self.config
        without_config = {name: x for name, x in result.items() if name != "config"}
        row = {name: float(x) for name, x in flat(without_config) if _is_number(x)}
        steps = self._columns.setdefault(ENV_STEPS, array("d", [math.nan]) * self._length)
        while self._length and steps[-1] > row.get(ENV_STEPS, math.inf):
            for column in self._columns.values():
                column.pop()
            self._length -= 1
        for name in row.keys() - self._columns.keys():
            self._columns[name] = array("d", [math.nan]) * self._length
        for name, column in self._columns.items():
            column.append(row.get(name, math.nan))
        self._length += 1

    def __len__(self) -> int:
        """Number of results."""
        return self._length

    def names(self) -> set[str]:
        """Names of all metrics with at least one value."""
        return {name for name, column in self._columns.items() if not all(map(math.isnan, column))}

    def rows(self, *names: str) -> list[tuple[float, ...]]:
        """Return the values of several names, from results that have all of them."""
        if not self._columns.keys() >= set(names):
            return []
        rows = zip(*(self._columns[name] for name in names), strict=True)
        return [row for row in rows if not any(map(math.isnan, row))]

    def series(self, name: str, by: str = ENV_STEPS) -> tuple[list[float], list[float]]:
        """Return the values of a metric, and of the metric on the x axis.

        Args:
            name: Name of the metric.
            by: Name of the metric on the x axis.

        Returns:
            x and y values, from results that have both.
        """
        pairs = self.rows(by, name)
        return [x for x, _ in pairs], [y for _, y in pairs]

    def values(self, name: str, last: float = 1.0) -> list[float]:
        """Return the values of a metric, in the last fraction of the results that have it."""
        _, values = self.series(name)
        return values[len(values) - math.ceil(len(values) * last) :]

    def latest(self, name: str, default: float = math.nan) -> float:
        """Return the last value of a metric."""
        _, values = self.series(name)
        return values[-1] if values else default


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # An integer too large for a float.
        return False
