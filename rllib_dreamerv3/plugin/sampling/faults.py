"""Env runners that recreate failing environments and report hanging ones."""

import logging
import math
import warnings
from typing import Any

import ray
import ray.rllib.env.single_agent_env_runner as rllib_env_runner
from ray.rllib.env.env_runner import (
    ENV_RESET_TIMER,
    ENV_STEP_FAILURE,
    ENV_STEP_TIMER,
    NUM_ENV_STEP_FAILURES_LIFETIME,
)
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.util.annotations import RayDeprecationWarning

from rllib_dreamerv3.envs.checked import failed_call, name_of_env
from rllib_dreamerv3.errors import EnvironmentDataError, RepeatedFailuresError, describe
from rllib_dreamerv3.plugin.sampling.failure_limit import ConsecutiveFailures
from rllib_dreamerv3.plugin.sampling.start_failures import post_start_failure
from rllib_dreamerv3.plugin.sampling.watchdog import Watchdog
from rllib_dreamerv3.startup.devices import hide_gpus

logger = logging.getLogger(__name__)


def name_of(worker_index: int, *, evaluation: bool) -> str:
    """Return an env runner's name in messages."""
    kind = "Evaluation env runner" if evaluation else "Env runner"
    return f"{kind} {worker_index}"


MAX_PATIENCE_S = 30.0
"""Seconds after which an environment's call is reported; less if ``sample_timeout_s`` is short."""


class FaultTolerantEnvRunner(SingleAgentEnvRunner):
    """Recreates failing environments, up to a limit; reports hanging ones.

    Subclasses report successful steps to ``_failures``.
    """

    def __init__(self, *, config: Any, **kwargs: Any):
        if kwargs.get("worker_index"):
            # A remote env runner: a GPU is not faster for its small batches.
            hide_gpus()
        self._failures = ConsecutiveFailures(config.num_consecutive_env_runner_failures_tolerance)
        self._watchdog = Watchdog(
            name_of(kwargs.get("worker_index") or 0, evaluation=config.in_evaluation),
            config.env,
            min(MAX_PATIENCE_S, (config.sample_timeout_s or math.inf) / 2),
        )
        # RLlib requests the device of the networks, but supports only PyTorch.
        get_device = rllib_env_runner.get_device
        rllib_env_runner.get_device = lambda *_: None
        try:
            with self._watchdog.during("__init__"):
                super().__init__(config=config, **kwargs)
        except Exception as error:
            post_start_failure(describe(error))
            raise
        finally:
            rllib_env_runner.get_device = get_device

    def _try_env_reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, Any]:
        """Reset the environments; recreate them if that fails.

        Raises:
            EnvironmentDataError: If they return values that their spaces do not declare, which
                recreating would not fix.
            RepeatedFailuresError: If they failed too often in a row.
        """
        while True:
            try:
                with self.metrics.log_time(ENV_RESET_TIMER), self._watchdog.during("reset"):
                    observation, infos = self.env.reset(seed=seed, options=options)
                return observation, infos
            except EnvironmentDataError:
                raise
            except Exception as error:
                self._note_failure("reset", error)

    def _try_env_step(self, actions: Any) -> Any:
        """Step the environments; recreate them if that fails.

        Returns:
            The result of ``step()``, or ``ENV_STEP_FAILURE``.

        Raises:
            EnvironmentDataError: As for a reset.
            RepeatedFailuresError: If they failed too often in a row.
        """
        try:
            with self.metrics.log_time(ENV_STEP_TIMER), self._watchdog.during("step"):
                results = self.env.step(actions)
        except EnvironmentDataError:
            raise
        except Exception as error:
            self.metrics.log_value(NUM_ENV_STEP_FAILURES_LIFETIME, 1, reduce="lifetime_sum")
            self._note_failure("step", error)
            return ENV_STEP_FAILURE
        self._log_env_steps(metric=self._metrics_num_try_env_step, num_steps=1)
        return results

    def _note_failure(self, call: str, error: Exception) -> None:
        failure = failed_call(f"{call}() of {name_of_env(self.config.env)}", error)
        if not self.config.restart_failed_sub_environments:
            if failure is error:
                raise error
            raise failure from error
        if self._failures.failed():
            raise RepeatedFailuresError(f"{failure}\n{self._failures}.") from error
        logger.warning("%s\nRecreating the environments.", failure)
        self.make_env()

    def stop(self) -> None:
        self._watchdog.stop()
        super().stop()


def was_restarted() -> bool:
    """Whether this is an actor that Ray has restarted after its process died."""
    context = ray.get_runtime_context() if ray.is_initialized() else None
    if not context or not context.get_actor_id():
        return False
    with warnings.catch_warnings():
        # Ray's own property reads a deprecated one.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return bool(context.was_current_actor_reconstructed)
