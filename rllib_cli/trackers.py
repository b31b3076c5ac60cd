"""Experiment trackers: Ray's callbacks for Weights & Biases and MLflow. Imports Ray.

Tune closes its callbacks before it returns, and closes trackers of interrupted trials wrongly: it
waits half an hour for Weights & Biases, and leaves runs of MLflow running. Here they are closed by
:func:`close_trackers`, after the command has printed how the run ended.
"""

import logging
import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback

from rllib_dreamerv3.plugin.tune.loggers import EnvStepsMLflowLoggerCallback

logger = logging.getLogger(__name__)

# Environment variables from which Ray's callbacks read the names of project and experiment.
_PROJECT, _EXPERIMENT = "WANDB_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME"
_MAX_SECONDS = 10.0

# Tune creates callbacks from their class names.
_open: list["_ClosedByUs"] = []


class _ClosedByUs(LoggerCallback):
    """Remembers the trials that have not ended."""

    def __init__(self) -> None:
        super().__init__()
        self._running: set[Trial] = set()
        _open.append(self)

    def log_trial_start(self, trial: Trial) -> None:
        super().log_trial_start(trial)
        self._running.add(trial)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        super().log_trial_end(trial, failed)
        self._running.discard(trial)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Do nothing: :meth:`close` follows."""

    @abstractmethod
    def close(self, interrupted: bool) -> None:
        """Close the tracker; see :func:`close_trackers`."""


class Wandb(_ClosedByUs, WandbLoggerCallback):
    """Ray's logger for Weights & Biases; its files are in the trial's folder."""

    def _start_logging_actor(
        self, trial: Trial, exclude_results: list[str], **settings: Any
    ) -> None:
        # The default is a temporary directory, which Tune copies before the last results are
        # written: copies of offline runs would lack them.
        if trial.storage.storage_filesystem.type_name == "local":
            folder = Path(trial.storage.trial_fs_path)
            folder.mkdir(parents=True, exist_ok=True)
            settings = {"dir": str(folder), **settings}
        super()._start_logging_actor(trial, exclude_results, **settings)

    def close(self, interrupted: bool) -> None:
        for trial in self._running:
            self._signal_logging_actor_stop(trial)
        seconds = _MAX_SECONDS if interrupted else self._upload_timeout
        self._cleanup_logging_actors(timeout=seconds, kill_on_timeout=True)


class MLflow(_ClosedByUs, EnvStepsMLflowLoggerCallback):
    """Ray's logger for MLflow, by env steps."""

    def close(self, interrupted: bool) -> None:
        # By default MLflow tries for four minutes to reach a server that is gone.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = f"{_MAX_SECONDS:.0f}"
        for trial in self._running:
            self.mlflow_util.end_run(run_id=self._trial_runs[trial], status="KILLED")


def trackers(wandb: str | None, mlflow: str | None) -> list[type[_ClosedByUs]]:
    """Select callbacks of experiment trackers and set the environment variables they read.

    Args:
        wandb: Project of Weights & Biases; None for none.
        mlflow: Name of the MLflow experiment; None for none. ``MLFLOW_TRACKING_URI`` selects the
            server.

    Returns:
        Callback classes.
    """
    found: list[type[_ClosedByUs]] = []
    if wandb:
        os.environ[_PROJECT] = wandb
        found.append(Wandb)
    if mlflow:
        os.environ[_EXPERIMENT] = mlflow
        found.append(MLflow)
    return found


def close_trackers(interrupted: bool) -> None:
    """Close the trackers of the last Tune run.

    Args:
        interrupted: Whether it was interrupted: then uploads get seconds to complete. Otherwise
            they get as long as Ray gives them.
    """
    while _open:
        try:
            _open.pop().close(interrupted)
        except Exception:  # The tracker's package may raise anything.
            logger.exception("A tracker could not be closed.")
