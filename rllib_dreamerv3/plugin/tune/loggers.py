"""Ray's loggers with env steps as the x-axis, and Tune's progress.csv with all columns."""

import csv
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow.fs
from ray.air.constants import EXPR_PROGRESS_FILE
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune.experiment import Trial
from ray.tune.logger import CSVLoggerCallback, LoggerCallback, TBXLoggerCallback
from ray.tune.result import TIMESTEPS_TOTAL
from ray.tune.utils import flatten_dict

from rllib_dreamerv3.plugin.results import PICTURES
from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING


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
        """Appends a row; rewrites the file atomically if there are new columns."""
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
        """Drops the trial's columns; if it continues, they are read from its file."""
        self._columns.pop(trial, None)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Returns the columns and the complete rows of a file; empty if it does not exist."""
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
    """Rewrites a file atomically, with empty cells for new columns."""
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


logger = logging.getLogger(__name__)


class _ByEnvSteps(LoggerCallback):
    """Makes env steps the x-axis of a logger of Ray.

    The default is iterations, which depend on wall-clock time: curves of two machines would not be
    comparable.
    """

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        steps = result.get(NUM_ENV_STEPS_SAMPLED_LIFETIME)
        # TensorBoard and MLflow need an int.
        logged = result if steps is None else {**result, TIMESTEPS_TOTAL: int(steps)}
        super().log_trial_result(iteration, trial, logged)


class EnvStepsTBXLoggerCallback(_ByEnvSteps, TBXLoggerCallback):
    """Writes TensorBoard events by env steps, including dreams as images.

    Tune does not create its own logger if it is given this one::

        tune.RunConfig(callbacks=[EnvStepsTBXLoggerCallback()])
    """

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        super().log_trial_result(iteration, trial, result)
        for name, path in result.get(PICTURES, {}).items():
            if path.endswith(PICTURE_ENDING):
                self._log_picture(trial, f"{PICTURES}/{name}", path, result)

    def _log_picture(self, trial: Trial, tag: str, path: str, result: dict[str, Any]) -> None:
        # Imported only when there is a picture, to keep the package's start fast.
        import imageio.v3 as imageio

        try:
            picture = imageio.imread(_read_bytes(trial, path))
        # A trial on another node may have written to a disk that this node cannot read.
        except OSError as error:
            logger.warning("The image %s could not be logged to TensorBoard: %s", path, error)
            return
        self._trial_writer[trial].add_image(
            tag, picture, global_step=result[NUM_ENV_STEPS_SAMPLED_LIFETIME], dataformats="HWC"
        )
        self._trial_writer[trial].flush()


class EnvStepsMLflowLoggerCallback(_ByEnvSteps, MLflowLoggerCallback):
    """Ray's logger for MLflow, by env steps."""


def _read_bytes(trial: Trial, path: str) -> bytes:
    """Reads a trial's file, from its storage or this machine.

    Raises:
        OSError: If it is in neither.
    """
    for filesystem in (trial.storage.storage_filesystem, pyarrow.fs.LocalFileSystem()):
        if filesystem.get_file_info(path).is_file:
            with filesystem.open_input_stream(path) as file:
                return file.read()
    raise FileNotFoundError(f"{path} is neither on this machine nor in the trial's storage.")
