"""DreamerV3: sample -> replay -> update -> weights back to sampling."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import ray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    LEARN_ON_BATCH_TIMER,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_GRAD_UPDATES_LIFETIME,
    REPLAY_BUFFER_RESULTS,
    SAMPLE_TIMER,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from rllib_dreamerv3.agent.kernels.product_speed import faster_dtype, product_speeds
from rllib_dreamerv3.checkpoints.runs import newest_policy
from rllib_dreamerv3.data.recorder import Recorder
from rllib_dreamerv3.envs.checked import name_of_env
from rllib_dreamerv3.errors import ConfigError, LearnerFailedError, TrainingDivergedError
from rllib_dreamerv3.options.replay_sampling import fractions_of
from rllib_dreamerv3.options.table import ComputeDtype
from rllib_dreamerv3.plugin.checkpointed import CheckpointedAlgorithm
from rllib_dreamerv3.plugin.cluster.forwarded_warnings import forward_warnings
from rllib_dreamerv3.plugin.cluster.resources import check_resources
from rllib_dreamerv3.plugin.cluster.worker_status import raise_fatal_error
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.learners.group import ask_learner
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.recorded_data import fill_replay, make_recorder
from rllib_dreamerv3.plugin.recovery import Divergence, continue_or_end
from rllib_dreamerv3.plugin.refused_methods import refuse_methods
from rllib_dreamerv3.plugin.replay_capacity import check_replay_capacity, specs_of_module
from rllib_dreamerv3.plugin.results import Iteration, complete, report_dream, under_former_names
from rllib_dreamerv3.plugin.sampling.asynchronous import AsynchronousSampler
from rllib_dreamerv3.plugin.sampling.episodes import EpisodeStatistics, clip_rewards
from rllib_dreamerv3.plugin.sampling.faults import name_of
from rllib_dreamerv3.plugin.sampling.request import SampleRequest, next_request
from rllib_dreamerv3.plugin.sampling.sampler import LocalSampler, Sampler
from rllib_dreamerv3.plugin.sampling.start_failures import start_failures_reported
from rllib_dreamerv3.plugin.sampling.synchronous import SynchronousSampler
from rllib_dreamerv3.plugin.tune.trial import OPEN_FILES, Trial
from rllib_dreamerv3.records import Columns, RecordChunk
from rllib_dreamerv3.replay.buffer import ReplayBuffer, SampledSequences
from rllib_dreamerv3.replay.update_schedule import Pretraining, UpdateSchedule
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec
from rllib_dreamerv3.startup.devices import device_in_use, hide_gpus, use_devices_of_a_learner
from rllib_dreamerv3.startup.import_hooks import NAME

# Limit on due updates, for env runners that do not wait for updates.
MAX_PENDING_UPDATES = 1000


@refuse_methods
class DreamerV3(CheckpointedAlgorithm):
    """Learns a world model from replay, and behaviour from imagination (arXiv 2301.04104v1).

    Attributes:
        replay_buffer: The sampled records, up to its capacity.
        update_schedule: Computes how many updates are due.
        replay_capacity: Bytes that replay needs when it is full, and bytes available.
        product_speeds: GFLOP/s in each dtype, if they were measured for ``compute_dtype="auto"``.
        last_evaluation: Results of the last evaluation, repeated until the next one.
    """

    # Seconds, of Ray's Trainable.
    _time_total: float

    product_speeds: Mapping[ComputeDtype, float] = MappingProxyType({})
    _drawn_ahead: SampledSequences | None = None
    _recorder: Recorder | None = None

    def __init__(self, config: Any = None, env: Any = None, **kwargs: Any):
        self.trial = Trial(self, config)
        super().__init__(config, env, **kwargs)

    @classmethod
    def get_default_config(cls) -> DreamerV3Config:
        return DreamerV3Config()

    def setup(self, config: DreamerV3Config) -> None:
        """Create env runners, replay and learner.

        Raises:
            ResourceError: If the cluster is too small for this configuration, or the learner needs
                a GPU and there is none.
            ConfigError: If no environment is set, or replay needs more memory or disk than there
                is.
            DataError: If recorded data cannot be read, does not fit, or has no complete sequence.
            EnvironmentFailedError: If no env runner can be created.
            LearnerFailedError: If a learner process cannot be started.
        """
        forward_warnings()
        if not (self.config.env or self.config.recorded_data):
            raise ConfigError(
                "The config has no environment. Set one with .environment('CartPole-v1'), or give "
                "your own class or function."
            )
        # Tune runs trials in placement groups, whose resources have been granted already.
        if ray.util.get_current_placement_group() is None:
            check_resources(self.config, ray.cluster_resources(), in_tune=False)
        if self.config.num_learners:
            hide_gpus()
        else:
            use_devices_of_a_learner(self.config.num_gpus_per_learner)
        if self.config.compute_dtype == "auto":
            self.config = config = self.config.copy(copy_frozen=False)
            config.compute_dtype = self._choose_compute_dtype()
            config.freeze()
        self.update_schedule = UpdateSchedule(
            self.config.training_ratio / self.config.records_per_update
        )
        self.episodes = EpisodeStatistics(self.config.metrics_num_episodes_for_smoothing)
        self._records = self._env_steps = self._pending_updates = self.generation = 0
        self._pretraining = Pretraining(self.config.updates_before_sampling)
        self._this_iteration = Iteration(0)
        self.last_evaluation: dict[str, Any] = {}
        self.divergence = Divergence(self)
        with start_failures_reported(validate=self.config.validate_env_runners_after_construction):
            super().setup(config)
        self.sampler = self._make_sampler()
        if self._acts_with_the_learners_networks:
            learner = self.learner_group._learner
            self.env_runner.module.share_networks_of(learner.module[DEFAULT_MODULE_ID])
        self.learner_device = ask_learner(self.learner_group, lambda _: device_in_use())
        context = self.config.resolved("replay_context")
        sampling = self.config.replay_buffer_options()["sampling"]
        specs = ask_learner(
            self.learner_group,
            lambda learner: specs_of_module(learner.module[DEFAULT_MODULE_ID], context),
        )
        self._record_specs = specs
        self.replay_capacity = check_replay_capacity(self.config, specs, self._replay_directory)
        self.replay_buffer = ReplayBuffer(
            length=self.config.batch_length_T,
            context=context,
            online_queue=self.config.resolved("online_queue"),
            sampling=fractions_of(sampling),
            capacity_records=self.replay_capacity.need.capacity,
            capacity_bytes=self.replay_capacity.need.capacity_bytes,
            needed_records=self.config.records_to_start,
            directory=self._replay_directory,
            seed=self.config.seed,
        )
        if self.config.output:
            self._recorder = make_recorder(self.config, *self._codecs())
        if not self.may_be_restored:
            self._start()

    def _choose_compute_dtype(self) -> ComputeDtype:
        """Return what "auto" stands for: the dtype of a resumed trial, otherwise the faster one."""
        location = self.trial.location
        if location is not None and location.filesystem is None:
            saved = newest_policy(Path(location.path))
            if saved is not None and saved.options.get("compute_dtype") in get_args(ComputeDtype):
                return saved.options["compute_dtype"]
        if self.config.num_learners and self.config.num_gpus_per_learner:
            # This process sees none of their GPUs.
            return "float32"
        self.product_speeds = product_speeds()
        return faster_dtype(self.product_speeds)

    def _start(self) -> None:
        """Take what the run starts with from another run and from recorded data.

        A restored checkpoint contains both.
        """
        if self.started:
            return
        if self.config.start_checkpoint is not None:
            self.start_from(self.config.start_checkpoint, self.config.parts_to_start_with)
        if self.config.recorded_data:
            # A checkpoint to start from may have counted updates of its own.
            self._pretraining.done = 0
            fill_replay(self.config, self.replay_buffer, *self._codecs(), self._record_specs)
        self.started = True

    @property
    def _replay_directory(self) -> Path | None:
        """Directory of replay's files; None if all columns are in memory."""
        replay = self.config.replay_buffer_options()
        if replay["storage"] != "disk":
            return None
        return Path(replay["directory"] or self.trial.directory).expanduser().absolute()

    def __repr__(self) -> str:
        # RLlib's own fails if the config was rejected.
        return NAME

    @staticmethod
    def _get_env_id_and_creator(env_specifier: Any, config: DreamerV3Config) -> tuple[Any, Any]:
        # RLlib accepts only classes and names.
        if callable(env_specifier) and not isinstance(env_specifier, type):
            return name_of_env(env_specifier), env_specifier
        return CheckpointedAlgorithm._get_env_id_and_creator(env_specifier, config)

    def _create_local_replay_buffer_if_necessary(self, config: DreamerV3Config) -> None:
        # RLlib would create its own buffer from the same options and leave it empty.
        return None

    @property
    def _acts_with_the_learners_networks(self) -> bool:
        """Whether sampling and learning share one set of networks, in this process."""
        return self.config.num_env_runners == 0 and self.config.num_learners == 0

    def _codecs(self) -> tuple[ObservationCodec, ActionCodec]:
        def of(learner: DreamerV3Learner) -> tuple[ObservationCodec, ActionCodec]:
            module = learner.module[DEFAULT_MODULE_ID]
            return module.observations, module.actions

        return ask_learner(self.learner_group, of)

    def _make_sampler(self) -> Sampler:
        config, group = self.config, self.env_runner_group
        if not config.num_env_runners:
            shared = self._acts_with_the_learners_networks
            return LocalSampler(group, None if shared else self._sync_weights)
        options: dict[str, Any] = {
            "restart": config.restart_failed_env_runners,
            "timeout_s": config.sample_timeout_s,
            "tolerated_failures": config.num_consecutive_env_runner_failures_tolerance,
        }
        if not config.samples_asynchronously:
            return SynchronousSampler(group, self._sync_weights, **options)
        return AsynchronousSampler(
            group,
            max_requests=config.max_requests_in_flight_per_env_runner,
            broadcast_interval=config.resolved("broadcast_interval"),
            get_weights=self._policy_weights,
            **options,
        )

    def step(self) -> dict[str, Any]:
        """Run one iteration, see :meth:`training_step`, and add this package's metrics."""
        self._start()
        results = None
        while results is None:
            iteration = Iteration(self.config.min_time_s_per_iteration or 0)
            self._this_iteration = iteration
            try:
                results = super().step()
            except TrainingDivergedError as error:
                self.divergence.rewind(error)
            except LearnerFailedError as error:
                continue_or_end(self, error)
        if iteration.last_batch is not None:
            self._report(iteration.last_batch, record_losses=True)
        complete(results, self, iteration)
        return results

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Evaluate as RLlib does; later results repeat its metrics until the next evaluation.

        Raises:
            CallbackFailedError: If a callback raises an exception in an env runner.
            EnvironmentDataError: If an environment returns values that its spaces do not declare.
        """
        self._this_iteration.evaluated = True
        results = super().evaluate(*args, **kwargs)
        if (group := self.eval_env_runner_group) is not None:
            for index, actor in group._worker_manager.actors().items():
                raise_fatal_error(actor, name_of(index, evaluation=True))
        return results

    def _evaluate_with_custom_eval_function(self) -> tuple[dict[str, Any], int, int]:
        # RLlib would only say that it cannot unpack the result.
        evaluate = self.config.custom_evaluation_function
        match evaluate(self, self.eval_env_runner_group):
            case (dict(results), int(env_steps), int(agent_steps)):
                return results, env_steps, agent_steps
            case returned:
                raise ConfigError(
                    "custom_evaluation_function must return three values, ({}, env_steps, "
                    f"agent_steps) with two ints, not {returned!r:.200}. Results are what "
                    "it gives to algorithm.metrics.aggregate([...], key=('evaluation', "
                    "'env_runners')), such as get_metrics() of env runners."
                )

    def training_step(self) -> None:
        """Repeat: sample until an update is due, then run all due updates.

        Updates from recorded data come before sampling begins.

        Asynchronous sampling stores arrived records between any two updates, and waits for records
        only if no update is due.

        Return after ``min_time_s_per_iteration``, however long an update takes. The next call
        starts with the updates that are still due, so the order of samples and updates does not
        depend on the clock. RLlib would repeat a shorter step, but each call costs as much as an
        update of a small model.
        """
        updated = False
        while True:
            if self._pretraining.left:
                self._pending_updates = self._pending_updates or self._pretraining.due()
            elif not self._pending_updates or self.sampler.concurrent:
                self._store(self._sample())
                self._pending_updates += self._updates_due()
            if self._pending_updates:
                self._update_from_replay()
                self.sampler.send_weights()
                updated = True
            if self._this_iteration.time_is_up:
                break
        self._log_metrics(updated)

    def restore_env_runners(self, env_runner_group: EnvRunnerGroup) -> list[int]:
        """Recover lost env runners, without waiting for those that are still starting.

        Args:
            env_runner_group: The group for training, or for evaluation, which RLlib recovers.

        Returns:
            Indices of recreated or added env runners; they have the current weights and seeds.
        """
        if env_runner_group is not self.env_runner_group:
            return super().restore_env_runners(env_runner_group)
        back = self.sampler.find_restarted()
        if back:
            self._resend_weights(back)
            self.sampler.call_remote("begin_generation", {"generation": self.generation}, back)
        return back

    def cleanup(self) -> None:
        # Setup may have failed before the sampler was created.
        if hasattr(self, "sampler"):
            self.sampler.stop()
        if self._recorder is not None:
            self._recorder.close()
        super().cleanup()

    def _sample(self) -> list[RecordChunk]:
        """Recover lost env runners, and return the next records."""
        group = self.env_runner_group
        with self.metrics.log_time((TIMERS, SAMPLE_TIMER)):
            # RLlib does both only once an iteration, which may be long.
            back = self.restore_env_runners(group)
            if back:
                self._make_on_env_runners_recreated_callbacks(
                    config=self.config, env_runner_group=group, restored_env_runner_indices=back
                )
            return self.sampler.collect(self._next_request())

    def _next_request(self) -> SampleRequest:
        config = self.config
        return next_request(
            self.update_schedule,
            records_per_call=config.get_rollout_fragment_length() * config.num_envs_per_env_runner,
            most_ahead=config.most_records_ahead,
            random_prefill=config.resolved("random_prefill") and not self._is_trained,
            env_runners=self.env_runner_group.num_remote_env_runners(),
            records=self._records,
            pending_updates=self._pending_updates,
            missing=self._missing_starts,
        )

    def _store(self, chunks: list[RecordChunk]) -> None:
        for chunk in chunks:
            if self._recorder is not None:
                self._recorder.add(chunk)
            self.replay_buffer.add(clip_rewards(chunk, self.config.clip_rewards))
            self.episodes.add(chunk.ended)
            self._records += len(chunk)
            self._env_steps += chunk.env_steps()

    @property
    def _is_trained(self) -> bool:
        """Whether the policy was trained before sampling began."""
        pretrained = self._pretraining.done > 0 and self.config.train_actor
        return self.started_trained or pretrained

    @property
    def _missing_starts(self) -> int:
        """Sequence starts that replay still needs before the first update."""
        needed = max(1, self.config.num_steps_sampled_before_learning_starts)
        return max(0, needed - self.replay_buffer.num_windows)

    def _updates_due(self) -> int:
        """Return how many updates have become due; 0 until replay is prefilled."""
        if self._missing_starts:
            return 0
        due = self.update_schedule.due(self._records)
        if self.config.max_records_ahead is None:
            # Sampling does not wait for updates: updates beyond the limit are cancelled.
            late = max(0, self._pending_updates + due - MAX_PENDING_UPDATES)
            self.update_schedule.cancel(late)
            due -= late
        return due

    def _update_from_replay(self) -> None:
        """Run due updates until the iteration's time is up, but at least one.

        Run exactly one if sampling is concurrent, since records arrive between updates.
        """
        self._drawn_ahead = None  # A failed update may have left it behind.
        while self._pending_updates:
            with self._sampling_beside():
                batch, _ = self._update()
                self._pending_updates -= 1
                self._pretraining.count_update()
            self._report_now_and_then(batch)
            if self.sampler.concurrent:
                break
            if self._drawn_ahead is None and self._this_iteration.time_is_up:
                break

    def _sampling_beside(self) -> AbstractContextManager[None]:
        """Return a context in which a concurrent sampler continues during an update."""
        if self._pretraining.left:
            return nullcontext()
        return self.sampler.while_busy(self._next_request())

    def _update(self) -> tuple[Columns, Columns]:
        """Sample a batch, update the networks with it, and write the results back to replay.

        Returns:
            The batch as record columns ``[B, K+T, ...]``, and the columns ``[B, T, ...]`` that the
            update returned for replay, see :class:`Update`; empty for a skipped update.

        Raises:
            TrainingDivergedError: If the update is not finite, unless ``on_divergence`` is
                "ignore".
        """
        with self.metrics.log_time((TIMERS, LEARN_ON_BATCH_TIMER)):
            drawn, self._drawn_ahead = self._drawn_ahead, None
            batch, windows = drawn or self.replay_buffer.sample(self.config.batch_size_B)
            try:
                (written,) = self.learner_group.update(
                    batch=MultiAgentBatch(
                        {DEFAULT_MODULE_ID: SampleBatch(batch)},
                        env_steps=self.config.records_per_update,
                    ),
                    timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self._env_steps},
                    background=self._draw_ahead,
                )
            except TrainingDivergedError as error:
                self.divergence.record(error, batch)
                written = {}
            self.replay_buffer.write_back(windows, written)
        self.metrics.log_value(NUM_GRAD_UPDATES_LIFETIME, 1, reduce="lifetime_sum")
        return batch, written

    def _draw_ahead(self) -> None:
        """Draw the batch of the next update while learner processes compute this one.

        Whether to do so must not depend on the clock, so the iteration continues until the drawn
        batch is used. Replay holds the same records as if the batch were drawn later, since nothing
        is sampled between the two updates. Only records in both batches miss the latents of this
        update, and the draws miss its losses; the 2025 code also writes both one update late.
        """
        # Asynchronous sampling stores records between updates, which may replace others.
        if self._pending_updates > 1 and not self.sampler.concurrent:
            self._drawn_ahead = self.replay_buffer.sample(self.config.batch_size_B)

    def _sync_weights(self) -> None:
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(
                from_worker_or_learner_group=self.learner_group, inference_only=True
            )

    def _report_now_and_then(self, batch: Columns) -> None:
        """Compute reports after every ``report_frequency``-th update; keep the last batch."""
        if self.config.report_individual_batch_item_stats:
            self._this_iteration.last_batch = batch
        wanted = {
            "dream": self.config.report_images_and_videos,
            "dream_data": self.config.report_dream_data,
        }
        if any(wanted.values()):
            updates = self.metrics.peek(NUM_GRAD_UPDATES_LIFETIME)
            if updates % self.config.report_frequency == 0:
                self._report(batch, **wanted)

    def _report(self, batch: Columns, **wanted: bool) -> None:
        """Add the learner's reports on a batch to the results of this iteration."""
        update, dream, values = ask_learner(
            self.learner_group, lambda learner: learner.report(batch, **wanted)
        )
        self._this_iteration.reports |= values
        if dream is not None:
            trial = self.trial
            files = report_dream(trial.directory, trial.location, dream, update)
            self._this_iteration.pictures |= files

    def _log_metrics(self, updated: bool) -> None:
        if sampled := self.sampler.take_metrics():
            self.metrics.aggregate(sampled, key=ENV_RUNNER_RESULTS)
        if updated:
            # All learners have the same metrics, those of the complete batch. Each must reset them,
            # since the run continues with its state if the others die.
            answers = self.learner_group.foreach_learner(lambda learner: learner.metrics.reduce())
            metrics, *_ = [answer.get() for answer in answers]
            self.metrics.aggregate([metrics], key=LEARNER_RESULTS)
        held = self.replay_buffer.metrics()
        replay = held | {
            **under_former_names(held),
            **self.replay_capacity.metrics(),
            "prefill_target": float(self.config.num_steps_sampled_before_learning_starts),
        }
        self.metrics.log_dict(replay, key=REPLAY_BUFFER_RESULTS, reduce="max", window=1)
        reached = self.update_schedule.reached(self._records, self._pending_updates)
        ratio = reached * self.config.records_per_update
        self.metrics.log_value("actual_training_ratio", ratio, window=1)
        if self.sampler.concurrent:
            self.metrics.log_value("num_updates_pending", self._pending_updates, window=1)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become the algorithm of another trial in the same process, for ``reuse_actors``.

        Called by Tune. Keep nothing of the old trial; it only saves starting a process and
        importing.

        Args:
            new_config: Options of the new trial.

        Returns:
            True: always possible.

        Raises:
            ConfigError: If an option is invalid.
        """
        kept = {name: getattr(self, name) for name in OPEN_FILES}
        storage = self._storage
        if self._monitor.is_alive():
            self._monitor.stop()
            self._monitor.join()
        self.cleanup()
        self.__dict__.clear()
        initialize: Any = self.__init__  # type: ignore[misc]
        initialize(new_config, storage=storage)
        self.__dict__.update(kept)
        return True

    def _open_logfiles(self, stdout_file: str | None, stderr_file: str | None) -> None:
        # Tune would open them in the working directory, which it deletes.
        super()._open_logfiles(*self.trial.log_files(stdout_file, stderr_file))

    def _begin_generation(self, generation: int) -> None:
        super()._begin_generation(generation)
        if self._recorder is not None:
            self._recorder.drop_running()

    def get_counters(self) -> dict[str, Any]:
        return {
            "update_schedule": self.update_schedule.get_state(),
            "episodes": self.episodes.get_state(),
            "records": self._records,
            "env_steps": self._env_steps,
            "pending_updates": self._pending_updates,
            "pretraining_updates": self._pretraining.done,
            "generation": self.generation,
            "time_total_s": self._time_total,
        }

    def set_counters(self, counters: Mapping[str, Any]) -> None:
        self.update_schedule.set_state(counters["update_schedule"])
        self.episodes.set_state(counters["episodes"])
        self._records, self._env_steps = counters["records"], counters["env_steps"]
        self._pending_updates = counters["pending_updates"]
        # Older checkpoints lack it.
        self._pretraining.done = counters.get("pretraining_updates", 0)
        self.generation = counters["generation"]
        # Time goes on after a rewind. Older checkpoints lack it.
        self._time_total = max(self._time_total, counters.get("time_total_s", 0.0))
