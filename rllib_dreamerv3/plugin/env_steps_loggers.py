"""Ray's loggers that draw curves, with env steps as their axis. Imports Ray."""

from typing import Any

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback, TBXLoggerCallback
from ray.tune.result import TIMESTEPS_TOTAL


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
    """Writes TensorBoard's events with env steps as their step.

    Pass one to Tune, which then leaves its own out::

        tune.RunConfig(callbacks=[EnvStepsTBXLoggerCallback()])
    """


class EnvStepsMLflowLoggerCallback(_ByEnvSteps, MLflowLoggerCallback):
    """Ray's logger for MLflow, with env steps as the step."""
