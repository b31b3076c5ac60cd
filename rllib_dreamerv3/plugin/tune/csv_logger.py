"""Tune's progress.csv with all columns."""

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
    """Writes results to ``progress.csv``, with env steps first and a column for every key.

    Tune's own logger keeps only the keys of a trial's first result, which may lack losses and
    evaluation results. Tune does not create its own if it is given this one::

        tune.RunConfig(callbacks=[CompleteCSVLoggerCallback()])

    Cells are empty if a result lacks a key. An existing file, as of a resumed run, is continued;
    an incomplete last row is dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self._columns: dict[Trial, list[str]] = {}

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Append a row; rewrite the file atomically if there are new columns."""
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
        """Drop the trial's columns; if it continues, they are read from its file."""
        self._columns.pop(trial, None)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the complete rows of a file; empty if it does not exist."""
    if not path.exists():
        return [], []
    rows: list[list[str]] = []
    cut_off = not path.read_bytes().endswith(b"\n")
    # A cell may hold an array, which exceeds Python's default limit.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows.extend(csv.reader(file, strict=True))
    except csv.Error:
        # The last row ends inside quotes; the reader has not returned it.
        cut_off = False
    finally:
        csv.field_size_limit(limit)
    if rows and cut_off:
        rows.pop()
    columns = rows[0] if rows else []
    return columns, [row for row in rows[1:] if len(row) == len(columns)]


def _replace(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    """Rewrite a file atomically, with empty cells for new columns."""
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
