"""The trainer as an RLlib Learner, with learning rate schedules, metrics and state."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ray.rllib.core import ALL_MODULES, COMPONENT_OPTIMIZER, DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.metrics import (
    MODULE_TRAIN_BATCH_SIZE_MEAN,
    NUM_ENV_STEPS_TRAINED,
    NUM_ENV_STEPS_TRAINED_LIFETIME,
    NUM_MODULE_STEPS_TRAINED,
    NUM_MODULE_STEPS_TRAINED_LIFETIME,
    NUM_NON_TRAINABLE_PARAMETERS,
    NUM_TRAINABLE_PARAMETERS,
    WEIGHTS_SEQ_NO,
)
from ray.rllib.utils.metrics.ray_metrics import TimerAndPrometheusLogger
from ray.rllib.utils.schedules.scheduler import Scheduler

from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.agent.replicas import ALONE, Replicas
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.errors import TrainingDivergedError
from rllib_dreamerv3.options.replay_sampling import fractions_of
from rllib_dreamerv3.plugin.checkpoints.components import ArrayFiles
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.records import Columns
from rllib_dreamerv3.reports.dreams import Dream
from rllib_dreamerv3.reports.flight_recorder import KEPT_UPDATES, FlightRecorder, not_finite
from rllib_dreamerv3.reports.reporter import Reporter

# Limit on names in a message; the recording has all.
_MAX_NAMES = 5


class DreamerV3Learner(Learner):
    """Runs :class:`Trainer` on RLlib's batches, and reports under RLlib's keys.

    The complete update is one compiled step, so the methods with which RLlib composes an update
    from separate losses, gradients and optimizers raise TypeError.

    Attributes:
        trainer: Networks, optimizers and the compiled update.
        replicas: The learners that compute each update together, set before :meth:`build`.
    """

    replicas: Replicas = ALONE

    framework = "tf2"
    TOTAL_LOSS_KEY = "total_loss"

    def build(self) -> None:
        super().build()
        module: DreamerV3RLModule = self.module[DEFAULT_MODULE_ID]
        options = self.config.learning_options()
        parts = (
            module.model,
            module.observations.layout,
            module.actions.layout,
            module.settings,
            options,
            self.config.seed or 0,
        )
        sampling = fractions_of(self.config.replay_buffer_options()["sampling"])
        self.trainer = Trainer(*parts, self.replicas, returns_losses="curious" in sampling)
        self._reporter = Reporter(*parts)
        self._recorder = FlightRecorder()
        self._parameters = module.model.count_parameters()
        self._lr_schedules = {
            name: Scheduler(fixed_value_or_schedule=rate, framework=None)
            for name, rate in options.learning_rates.items()
        }

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        env_steps = next(iter(timesteps.values()), 0)
        for name, schedule in self._lr_schedules.items():
            rate = schedule.update(timestep=env_steps)
            variable = self.trainer.optimizers[name].learning_rate
            if float(variable) != np.float32(rate):
                variable.assign(rate)

    def update(
        self,
        batch: MultiAgentBatch | None = None,
        *,
        training_data: TrainingData | None = None,
        timesteps: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Columns:
        """Run one update of all networks.

        Metrics are logged but not reduced, which is ten times as expensive and only needed once an
        iteration.

        Args:
            batch: Record columns ``[B, K+T, ...]`` of the default module; this learner's part, if
                there are several learners.
            training_data: The batch, as learner groups pass it.
            timesteps: Env steps sampled so far, by RLlib's key, for learning rate schedules.
            **kwargs: RLlib's options to divide a batch, without effect here.

        Returns:
            The columns ``[B, T, ...]`` for replay, see :class:`Update`.

        Raises:
            TrainingDivergedError: If a metric is not finite. The networks are still finite, see
                :class:`Trainer`, and :meth:`write_recording` can be called.
        """
        self._check_is_built()
        if batch is None:
            assert training_data is not None
            batch = training_data.batch
        self.before_gradient_based_update(timesteps=timesteps or {})
        with TimerAndPrometheusLogger(self._metrics_learner_inner_update):
            update = self.trainer.update(dict(batch[DEFAULT_MODULE_ID]))
            # After each update, to detect one that is not finite immediately; stacked, for a single
            # transfer from a GPU.
            numbers = tf.stack([*update.metrics.values()]).numpy()
            values = dict(zip(update.metrics, numbers, strict=True))
        number = int(self.trainer.updates)
        self._recorder.note(number, next(iter((timesteps or {}).values()), 0), values)
        if wrong := not_finite(values):
            raise self._diverged(number, wrong)
        self._weights_seq_no += 1
        self._log_update(batch, values)
        self.after_gradient_based_update(timesteps=timesteps or {})
        return {name: value.numpy() for name, value in update.for_replay.items()}

    def _diverged(self, update: int, wrong: Sequence[str]) -> TrainingDivergedError:
        more = len(wrong) - _MAX_NAMES
        names = ", ".join(wrong[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
        first = ("WORLD_MODEL", "ENSEMBLE")
        half = self.trainer.in_turn and not any(name.startswith(first) for name in wrong)
        kept = "only the world model's step" if half else "nothing"
        return TrainingDivergedError(
            f"Training diverged in update {update}: {names} not finite. Of this update {kept} was "
            "applied."
        )

    def write_recording(
        self, directory: Path, batch: Columns, summary: Mapping[str, Any]
    ) -> str | None:
        """Record the update that was not finite, see :class:`FlightRecorder`.

        Args:
            directory: Parent of the recording's directory.
            batch: Record columns ``[B, K+T, ...]`` of the complete batch.
            summary: Additional content, as JSON.

        Returns:
            A sentence with the recording's directory, or why it could not be written; None if there
            are enough recordings already.
        """
        if self._recorder.is_full(directory):
            return None
        rates = {name: float(x.learning_rate) for name, x in self.trainer.optimizers.items()}
        try:
            path = self._recorder.write(
                directory,
                batch,
                get_weights(self.trainer.model),
                {"learning_rates": rates, **summary},
            )
        except OSError as error:
            return f"The recording could not be written to {directory}: {error}."
        return (
            f"The batch, the metrics of the last {KEPT_UPDATES} updates and the networks are in "
            f"{path}."
        )

    def _log_update(self, batch: MultiAgentBatch, values: dict[str, np.ndarray]) -> None:
        total = sum(float(x) for name, x in values.items() if name.endswith("_L_total"))
        self.metrics.log_dict(values, key=DEFAULT_MODULE_ID, reduce="mean", window=1)
        self.metrics.log_value((DEFAULT_MODULE_ID, self.TOTAL_LOSS_KEY), total, window=1)
        self._log_metrics(batch)
        self._log_steps_trained_metrics(batch)

    def report(
        self,
        batch: Columns,
        *,
        dream: bool = False,
        dream_data: bool = False,
        record_losses: bool = False,
    ) -> tuple[int, Dream | None, dict[str, Any]]:
        """Compute the requested reports, see :class:`Reporter`.

        Args:
            batch: Record columns ``[B, T, ...]`` of the last update.
            dream: Whether to compute :meth:`Reporter.dream`.
            dream_data: Whether to compute :meth:`Reporter.dream_data`.
            record_losses: Whether to compute :meth:`Reporter.record_losses`.

        Returns:
            Number of updates so far, the dream (None if not requested), and all other values by
            name.
        """
        update = int(self.trainer.updates)
        dreamed = self._reporter.dream(batch, update) if dream else None
        values: dict[str, Any] = {}
        if dream_data:
            values |= self._reporter.dream_data(batch, update)
        if record_losses:
            values |= self._reporter.record_losses(batch, update)
        return update, dreamed, values

    def _log_steps_trained_metrics(self, batch: MultiAgentBatch) -> None:
        # RLlib counts batch elements; each has T records here.
        steps = self.config.records_per_update
        log = self.metrics.log_value
        log((DEFAULT_MODULE_ID, WEIGHTS_SEQ_NO), self._weights_seq_no, window=1)
        log((DEFAULT_MODULE_ID, MODULE_TRAIN_BATCH_SIZE_MEAN), steps, window=1)
        for owner in (DEFAULT_MODULE_ID, ALL_MODULES):
            log((owner, NUM_MODULE_STEPS_TRAINED), steps, reduce="sum")
            log((owner, NUM_MODULE_STEPS_TRAINED_LIFETIME), steps, reduce="lifetime_sum")
            log((owner, NUM_TRAINABLE_PARAMETERS), self._parameters["total"], window=1)
            # Slow critics are the only parts without an optimizer.
            slow = sum(n for name, n in self._parameters.items() if name.endswith("critic"))
            log((owner, NUM_NON_TRAINABLE_PARAMETERS), slow, window=1)
        log((ALL_MODULES, NUM_ENV_STEPS_TRAINED), steps, reduce="sum")
        log((ALL_MODULES, NUM_ENV_STEPS_TRAINED_LIFETIME), steps, reduce="lifetime_sum")

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        optimizer = ArrayFiles(self.trainer.get_state, self.trainer.set_state)
        return [*super().get_checkpointable_components(), (COMPONENT_OPTIMIZER, optimizer)]

    def _get_optimizer_state(self) -> dict[str, np.ndarray]:
        return self.trainer.get_state()

    def _set_optimizer_state(self, state: dict[str, np.ndarray]) -> None:
        self.trainer.set_state(state)

    def configure_optimizers(self) -> None:
        """Do nothing: the trainer, which :meth:`build` creates, has its optimizers."""

    def get_parameters(self, module: DreamerV3RLModule) -> Sequence[tf.Variable]:
        return list(module.model.named_variables().values())

    def get_param_ref(self, param: tf.Variable) -> Hashable:
        return param.ref()

    def _convert_batch_type(self, batch: MultiAgentBatch, *args: Any, **kwargs: Any) -> Any:
        # TensorFlow accepts NumPy arrays.
        return batch

    @staticmethod
    def _get_tensor_variable(value: Any, dtype: Any = None, trainable: bool = False) -> tf.Variable:
        return tf.Variable(value, dtype=dtype, trainable=trainable)

    @staticmethod
    def _get_optimizer_lr(optimizer: Any) -> float:
        return float(optimizer.learning_rate)

    @staticmethod
    def _set_optimizer_lr(optimizer: Any, lr: float) -> None:
        optimizer.learning_rate.assign(lr)

    @staticmethod
    def _get_clip_function() -> Any:
        return tf.clip_by_global_norm

    @staticmethod
    def _get_global_norm_function() -> Any:
        return tf.linalg.global_norm

    def _update(self, *args: Any, **kwargs: Any) -> Any:
        raise _one_compiled_step("_update")

    def get_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        raise _one_compiled_step("get_optimizer")

    def configure_optimizers_for_module(self, *args: Any, **kwargs: Any) -> None:
        raise _one_compiled_step("configure_optimizers_for_module")

    def compute_gradients(self, *args: Any, **kwargs: Any) -> Any:
        raise _one_compiled_step("compute_gradients")

    def apply_gradients(self, *args: Any, **kwargs: Any) -> None:
        raise _one_compiled_step("apply_gradients")

    def compute_loss_for_module(self, *args: Any, **kwargs: Any) -> Any:
        raise _one_compiled_step("compute_loss_for_module")


def _one_compiled_step(method: str) -> TypeError:
    return TypeError(
        f"DreamerV3Learner.{method}() is not supported: losses, gradients and optimizers are one "
        "compiled step. Subclass rllib_dreamerv3.agent.trainer.Trainer to change it."
    )
