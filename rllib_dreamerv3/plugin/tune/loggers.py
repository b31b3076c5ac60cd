"""Ray's loggers with env steps as the x-axis."""

import logging
from typing import Any

import pyarrow.fs
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback, TBXLoggerCallback
from ray.tune.result import TIMESTEPS_TOTAL

from rllib_dreamerv3.plugin.results import PICTURES
from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING

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
    """Read a trial's file, from its storage or this machine.

    Raises:
        OSError: If it is in neither.
    """
    for filesystem in (trial.storage.storage_filesystem, pyarrow.fs.LocalFileSystem()):
        if filesystem.get_file_info(path).is_file:
            with filesystem.open_input_stream(path) as file:
                return file.read()
    raise FileNotFoundError(f"{path} is neither on this machine nor in the trial's storage.")
