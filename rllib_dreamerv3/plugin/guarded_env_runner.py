"""Environments that fail or hang: what an env runner does about them."""

import logging
import math
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

from rllib_dreamerv3.envs.checked import failed_call, name_of_env
from rllib_dreamerv3.errors import EnvironmentDataError, EnvironmentFailedError, in_words
from rllib_dreamerv3.plugin.failures import FailuresInARow, name_of
from rllib_dreamerv3.plugin.messages import leave_reason
from rllib_dreamerv3.plugin.watchdog import Watchdog
from rllib_dreamerv3.startup.devices import hide_gpus

logger = logging.getLogger(__name__)

MOST_PATIENCE_S = 30.0
"""Seconds after which an environment's call is told of; less where results are awaited sooner."""


class GuardedEnvRunner(SingleAgentEnvRunner):
    """Makes environments anew that fail, up to a limit, and tells of those that hang.

    Subclasses tell ``_failures`` what went well.
    """

    def __init__(self, *, config: Any, **kwargs: Any):
        """Creates environments and policy."""
        if kwargs.get("worker_index"):
            # A process of its own, whose few rows a GPU would compute no faster.
            hide_gpus()
        self._failures = FailuresInARow(config.num_consecutive_env_runner_failures_tolerance)
        self._watchdog = Watchdog(
            name_of(kwargs.get("worker_index") or 0, evaluation=config.in_evaluation),
            config.env,
            min(MOST_PATIENCE_S, (config.sample_timeout_s or math.inf) / 2),
        )
        # RLlib asks for the device of its networks, and has an answer for PyTorch alone.
        get_device = rllib_env_runner.get_device
        rllib_env_runner.get_device = lambda *_: None
        try:
            with self._watchdog.during("__init__"):
                super().__init__(config=config, **kwargs)
        except Exception as error:
            leave_reason(in_words(error))
            raise
        finally:
            rllib_env_runner.get_device = get_device

    def _try_env_reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, Any]:
        """Resets the environments, and makes them anew where that fails.

        Raises:
            EnvironmentDataError: They return what their spaces do not declare. Making them anew
                would not help.
            EnvironmentFailedError: That has failed too often in a row.
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
        """Steps the environments, and makes them anew where that fails.

        Returns:
            What ``step()`` gives, or ``ENV_STEP_FAILURE``.

        Raises:
            EnvironmentDataError: As in a reset.
            EnvironmentFailedError: That has failed too often in a row.
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
        told = failed_call(f"{call}() of {name_of_env(self.config.env)}", error)
        if not self.config.restart_failed_sub_environments:
            if told is error:
                raise error
            raise told from error
        if self._failures.failed():
            raise EnvironmentFailedError(f"{told}\n{self._failures}.") from error
        logger.warning("%s\nThe environments are made anew.", told)
        self.make_env()

    def stop(self) -> None:
        """Closes the environments."""
        self._watchdog.stop()
        super().stop()


def was_restarted() -> bool:
    """Whether this is an actor that Ray started again after its process had died."""
    context = ray.get_runtime_context() if ray.is_initialized() else None
    return bool(context and context.get_actor_id() and context.was_current_actor_reconstructed)
