"""Tune's progress.csv with all columns, whichever result they first came in. Imports Ray."""

import csv
import os
import sys
from pathlib import Path
from typing import Any

from ray.air.constants import EXPR_PROGRESS_FILE
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune.experiment import Trial
from ray.tune.logger import CSVLoggerCallback
from ray.tune.utils import flatten_dict


class CompleteCSVLoggerCallback(CSVLoggerCallback):
    """Writes results to ``progress.csv``: env steps first, and a column for every key of any.

    Tune's own keeps the keys of a trial's first result alone. Losses are not among them where that
    result comes before the first update, nor is what evaluation gives. Pass one to Tune, which then
    leaves its own out::

        tune.RunConfig(callbacks=[CompleteCSVLoggerCallback()])

    Cells are empty where a result lacks a key. A file that is there already, as in a run that is
    resumed, is continued; a row that was cut off as its process died is dropped.
    """

    def __init__(self) -> None:
        """Begins with no trial."""
        super().__init__()
        self._columns: dict[Trial, list[str]] = {}

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Appends a row; writes the file anew, in one step, if it brings new columns."""
        values = {key: value for key, value in result.items() if key != "config"}
        row = flatten_dict(values, delimiter="/")
        if NUM_ENV_STEPS_SAMPLED_LIFETIME in row:
            steps = {NUM_ENV_STEPS_SAMPLED_LIFETIME: row[NUM_ENV_STEPS_SAMPLED_LIFETIME]}
            row = steps | row
        path = Path(trial.local_path, EXPR_PROGRESS_FILE)
        if trial not in self._columns:
            trial.init_local_path()
            self._restore_from_remote(EXPR_PROGRESS_FILE, trial)
            self._columns[trial], rows = _read(path)
            _replace(path, self._columns[trial], rows)
        columns = self._columns[trial]
        known = set(columns)
        if new := [key for key in row if key not in known]:
            columns += new
            _replace(path, columns, _read(path)[1])
        with open(path, "a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(row.get(key, "") for key in columns)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Forgets the trial; should it go on, its file is read again."""
        self._columns.pop(trial, None)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """The columns and the whole rows of a file; nothing if there is none."""
    if not path.exists():
        return [], []
    rows: list[list[str]] = []
    cut_off = not path.read_bytes().endswith(b"\n")
    # A cell may be an array, which is longer than Python's limit.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows.extend(csv.reader(file, strict=True))
    except csv.Error:
        # The last row ends within quotes, and was not given.
        cut_off = False
    finally:
        csv.field_size_limit(limit)
    if rows and cut_off:
        rows.pop()
    columns = rows[0] if rows else []
    return columns, [row for row in rows[1:] if len(row) == len(columns)]


def _replace(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    """Writes a file anew, with cells for columns that its rows do not have yet."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if columns:
                writer.writerow(columns)
            writer.writerows([*row, *[""] * (len(columns) - len(row))] for row in rows)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
