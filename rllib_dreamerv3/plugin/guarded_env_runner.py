"""Environments that fail or hang: what an env runner does about them."""

import logging
import math
from typing import Any

import ray
import ray.rllib.env.single_agent_env_runner as rllib_env_runner
from gymnasium.vector import AutoresetMode
from ray.rllib.env.env_runner import (
    ENV_RESET_TIMER,
    ENV_STEP_FAILURE,
    ENV_STEP_TIMER,
    NUM_ENV_STEP_FAILURES_LIFETIME,
)
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_dreamerv3.errors import ConfigError, EnvironmentFailedError
from rllib_dreamerv3.plugin.watchdog import Watchdog, name_of

logger = logging.getLogger(__name__)

MOST_PATIENCE_S = 30.0
"""Seconds after which an environment's call is told of; less where results are awaited sooner."""


class GuardedEnvRunner(SingleAgentEnvRunner):
    """Makes environments anew that fail, up to a limit, and tells of those that hang.

    Subclasses set ``failures_in_a_row`` to 0 when records were collected.

    Attributes:
        failures_in_a_row: Resets and steps that failed since.
    """

    def __init__(self, *, config: Any, **kwargs: Any):
        """Creates environments and policy."""
        # RLlib asks for the device of its networks, and has an answer for PyTorch alone.
        get_device = rllib_env_runner.get_device
        rllib_env_runner.get_device = lambda *_: None
        try:
            super().__init__(config=config, **kwargs)
        finally:
            rllib_env_runner.get_device = get_device
        self.failures_in_a_row = 0
        self._watchdog = Watchdog(
            name_of(self.worker_index or 0, evaluation=self.config.in_evaluation),
            self.config.env,
            min(MOST_PATIENCE_S, (self.config.sample_timeout_s or math.inf) / 2),
        )

    def _try_env_reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, Any]:
        """Resets the environments, and makes them anew where that fails.

        Raises:
            EnvironmentFailedError: That has failed too often in a row.
        """
        while True:
            try:
                with self.metrics.log_time(ENV_RESET_TIMER), self._watchdog.during("reset"):
                    observation, infos = self.env.reset(seed=seed, options=options)
                return observation, infos
            except Exception as error:
                self._note_failure("reset", error)

    def _try_env_step(self, actions: Any) -> Any:
        """Steps the environments, and makes them anew where that fails.

        Returns:
            What ``step()`` gives, or ``ENV_STEP_FAILURE``.

        Raises:
            EnvironmentFailedError: That has failed too often in a row.
        """
        try:
            with self.metrics.log_time(ENV_STEP_TIMER), self._watchdog.during("step"):
                results = self.env.step(actions)
        except Exception as error:
            self.metrics.log_value(NUM_ENV_STEP_FAILURES_LIFETIME, 1, reduce="lifetime_sum")
            self._note_failure("step", error)
            return ENV_STEP_FAILURE
        self._log_env_steps(metric=self._metrics_num_try_env_step, num_steps=1)
        return results

    def _note_failure(self, call: str, error: Exception) -> None:
        self.failures_in_a_row += 1
        text = f"{call}() of {self.config.env!r} failed: {type(error).__name__}: {error}"
        most = self.config.max_failures_in_a_row
        if not self.config.restart_failed_sub_environments:
            raise EnvironmentFailedError(text) from error
        if self.failures_in_a_row >= most:
            raise EnvironmentFailedError(
                f"{text}. It failed {self.failures_in_a_row} times in a row "
                "(max_failures_in_a_row)."
            ) from error
        logger.warning("%s. The environments are made anew.", text, exc_info=error)
        self.make_env()

    def stop(self) -> None:
        """Closes the environments."""
        self._watchdog.stop()
        super().stop()


def was_restarted() -> bool:
    """Whether this is an actor that Ray started again after its process had died."""
    context = ray.get_runtime_context() if ray.is_initialized() else None
    return bool(context and context.get_actor_id() and context.was_current_actor_reconstructed)


def check_autoreset(env: Any, name: object) -> None:
    """Raises ConfigError unless environments reset themselves in the step after an end."""
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode is not AutoresetMode.NEXT_STEP:
        raise ConfigError(
            f"The vector environment {name!r} has autoreset_mode {mode.value!r}, with which the "
            "last observation of an episode or the first of the next would be lost. Make it with "
            "AutoresetMode.NEXT_STEP, or give a single environment."
        )
