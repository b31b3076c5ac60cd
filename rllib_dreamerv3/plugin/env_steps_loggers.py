"""Ray's loggers that draw curves, with env steps as their axis. Imports Ray."""

import logging
from typing import Any

import pyarrow.fs
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback, TBXLoggerCallback
from ray.tune.result import TIMESTEPS_TOTAL

from rllib_dreamerv3.plugin.dream_reports import PICTURES
from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING

logger = logging.getLogger(__name__)


class _ByEnvSteps(LoggerCallback):
    """Tells a logger of Ray that env steps are what it takes as the step.

    Without, it takes iterations, which are seconds of the clock: curves of two machines would not
    lie over each other.
    """

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Logs the result under its env steps."""
        steps = result.get(NUM_ENV_STEPS_SAMPLED_LIFETIME)
        # As TensorBoard and MLflow want it.
        told = result if steps is None else {**result, TIMESTEPS_TOTAL: int(steps)}
        super().log_trial_result(iteration, trial, told)


class EnvStepsTBXLoggerCallback(_ByEnvSteps, TBXLoggerCallback):
    """Writes TensorBoard's events with env steps as their step, dreams as images among them.

    Pass one to Tune, which then leaves its own out::

        tune.RunConfig(callbacks=[EnvStepsTBXLoggerCallback()])
    """

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Logs the result, and the pictures that it names."""
        super().log_trial_result(iteration, trial, result)
        for name, path in result.get(PICTURES, {}).items():
            if path.endswith(PICTURE_ENDING):
                self._log_picture(trial, f"{PICTURES}/{name}", path, result)

    def _log_picture(self, trial: Trial, tag: str, path: str, result: dict[str, Any]) -> None:
        # Loaded when there is a picture: the package starts without it.
        import imageio.v3 as imageio

        try:
            picture = imageio.imread(_read(trial, path))
        # A trial on another node may have written where this one cannot look.
        except OSError as error:
            logger.warning("TensorBoard gets no image of %s: %s", path, error)
            return
        self._trial_writer[trial].add_image(
            tag, picture, global_step=result[NUM_ENV_STEPS_SAMPLED_LIFETIME], dataformats="HWC"
        )
        self._trial_writer[trial].flush()


class EnvStepsMLflowLoggerCallback(_ByEnvSteps, MLflowLoggerCallback):
    """Ray's logger for MLflow, with env steps as the step."""


def _read(trial: Trial, path: str) -> bytes:
    """A file that a trial has written, here or in the file system of its storage.

    Raises:
        OSError: If it is in neither.
    """
    for filesystem in (trial.storage.storage_filesystem, pyarrow.fs.LocalFileSystem()):
        if filesystem.get_file_info(path).is_file:
            with filesystem.open_input_stream(path) as file:
                return file.read()
    raise FileNotFoundError(f"There is no {path} on this machine, nor in the trial's storage.")
