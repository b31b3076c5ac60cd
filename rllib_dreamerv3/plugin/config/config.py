"""DreamerV3Config: all options, their defaults, and how RLlib builds the algorithm from them."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.util.debug import log_once

import rllib_dreamerv3
from rllib_dreamerv3.errors import unknown_name
from rllib_dreamerv3.options.docstrings import with_options
from rllib_dreamerv3.options.former import FORMER_OPTIONS, check_former_option
from rllib_dreamerv3.options.model_sizes import ModelSettings, settings_of, variant_of
from rllib_dreamerv3.options.option import Option, options_of
from rllib_dreamerv3.options.option_checks import (
    check_mapping,
    check_replay_buffer,
    records_to_start,
    resolve,
    split_parts,
)
from rllib_dreamerv3.options.paths import absolute_paths
from rllib_dreamerv3.options.table import (
    CHECKPOINTING,
    DATA,
    ENVIRONMENT,
    EVALUATION,
    FAULT_TOLERANCE,
    OPTIONS,
    REPLAY_BUFFER,
    REPORTING,
    SAMPLING,
    TRAINING,
    TRAINING_GROUPS,
    CheckpointingOptions,
    DataOptions,
    EnvironmentOptions,
    EvaluationOptions,
    ExplorationOptions,
    FaultToleranceOptions,
    LearningOptions,
    ReplayOptions,
    ReportingOptions,
    SamplingOptions,
    Variant,
)
from rllib_dreamerv3.options.unknown_options import unknown_options
from rllib_dreamerv3.plugin.config.rllib_options import (
    checked_method,
    refused_method,
    unknown_in_method,
    with_named_classes,
)
from rllib_dreamerv3.plugin.config.validation import check
from rllib_dreamerv3.plugin.learners.group import LocalLearnerGroup, RemoteLearnerGroup
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.environments import register_spec

# Keys of RLlib's config dicts that are not attributes of a config object.
_DICT_ONLY_KEYS = {"env", "model_config", "multiagent", "class", "_is_frozen"}


class DreamerV3Config(AlgorithmConfig):
    """Configuration of :class:`rllib_dreamerv3.DreamerV3`.

    Defaults are those of arXiv 2301.04104v1, with the option names, model size and training ratio
    of RLlib's former built-in DreamerV3. A model size of the 2025 revision, such as "12M", selects
    that revision's defaults. Options whose default differs between the two are None until they are
    set; :meth:`resolved` returns their value.

    Example:
        >>> from rllib_dreamerv3 import DreamerV3Config
        >>> config = DreamerV3Config().environment("CartPole-v1").training(model_size="XXS")
        >>> algorithm = config.build_algo()
    """

    def __init__(self, algo_class: type | None = None):
        # Algorithm and config refer to each other; the public name is resolved lazily.
        super().__init__(algo_class=algo_class or rllib_dreamerv3.DreamerV3)
        self.framework_str = "tf2"

        for name, row in OPTIONS.items():
            setattr(self, name, row.config_default)
        self.replay_buffer_config = {x.name: x.config_default for x in REPLAY_BUFFER.values()}

        # RLlib's options for which DreamerV3 needs other defaults.
        self.train_batch_size = None
        self.num_env_runners = 0
        self.rollout_fragment_length = 1
        # Learning takes few episodes; a longer average would hide progress.
        self.metrics_num_episodes_for_smoothing = 20
        # Long enough to make the cost of results negligible, short enough to watch.
        self.min_time_s_per_iteration = 10.0
        # An environment that always fails ends the run within a minute, not after hours.
        self.num_consecutive_env_runner_failures_tolerance = 10
        self.delay_between_env_runner_restarts_s = 1.0
        # Env runners pass observations to the policy directly, and batches from replay are ready
        # for the update: all connector pipelines stay empty.
        self.env_runner_cls = DreamerV3EnvRunner
        self.add_default_connectors_to_env_to_module_pipeline = False
        self.add_default_connectors_to_module_to_env_pipeline = False
        self.add_default_connectors_to_learner_pipeline = False
        self._dont_auto_sync_env_runner_states = True

    @with_options(*TRAINING_GROUPS, unset=NotProvided)
    def training(self, **kwargs: Any) -> "DreamerV3Config":
        """Set the training options.

        Args:
            **kwargs: RLlib's own training options. Options of RLlib's former DreamerV3 without
                effect here are accepted with their neutral values.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        return self._set(TRAINING, super().training, absolute_paths(kwargs))

    @with_options(EnvironmentOptions, unset=NotProvided)
    def environment(self, env: Any = NotProvided, **kwargs: Any) -> "DreamerV3Config":
        """Set the environment and its options.

        Args:
            env: An id of Gymnasium or of a benchmark, ``module:Class``, a name given to
                ``register_env``, a class, or a function that makes an environment.
            **kwargs: RLlib's own options of environments.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        if isinstance(env, str):
            register_spec(env)
        return self._set(ENVIRONMENT, super().environment, {"env": env, **kwargs})

    @with_options(SamplingOptions, unset=NotProvided)
    def env_runners(self, **kwargs: Any) -> "DreamerV3Config":
        """Set the options of env runners and sampling.

        Args:
            **kwargs: RLlib's own options of env runners.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        return self._set(SAMPLING, super().env_runners, kwargs)

    @with_options(EvaluationOptions, unset=NotProvided)
    def evaluation(self, **kwargs: Any) -> "DreamerV3Config":
        """Set how the policy is evaluated.

        Args:
            **kwargs: RLlib's own evaluation options.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        return self._set(EVALUATION, super().evaluation, kwargs)

    @with_options(ReportingOptions, unset=NotProvided)
    def reporting(self, **kwargs: Any) -> "DreamerV3Config":
        """Set the contents of results.

        Keys of reports are only in results of iterations that computed one. Reports describe the
        networks after an update. Their pictures and videos are written to the trial's directory,
        also if Tune keeps it in remote storage; without Tune to the algorithm's ``logdir``.

        Args:
            **kwargs: RLlib's own reporting options.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        return self._set(REPORTING, super().reporting, kwargs)

    @with_options(CheckpointingOptions, unset=NotProvided)
    def checkpointing(self, **kwargs: Any) -> "DreamerV3Config":
        """Set the options of checkpoints.

        Args:
            **kwargs: RLlib's own checkpointing options.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        return self._set(CHECKPOINTING, super().checkpointing, absolute_paths(kwargs))

    @with_options(FaultToleranceOptions, unset=NotProvided)
    def fault_tolerance(self, **kwargs: Any) -> "DreamerV3Config":
        """Set how failures are handled.

        Args:
            **kwargs: RLlib's own options of fault tolerance.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        return self._set(FAULT_TOLERANCE, super().fault_tolerance, kwargs)

    @with_options(DataOptions, unset=NotProvided)
    def offline_data(self, **kwargs: Any) -> "DreamerV3Config":
        """Set recorded data to train from (``input_``), and where to record (``output``).

        Args:
            **kwargs: RLlib's own options of recorded data.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; names the most similar one.
        """
        return self._set(DATA, super().offline_data, absolute_paths(kwargs))

    # RLlib's methods without options of ours.
    callbacks = checked_method("callbacks")
    debugging = checked_method("debugging")
    learners = checked_method("learners")
    resources = checked_method("resources")
    rl_module = checked_method("rl_module")

    # RLlib's former methods.
    rollouts = refused_method(
        "rollouts", "RLlib calls it .env_runners(), and num_rollout_workers num_env_runners."
    )
    exploration = refused_method(
        "exploration",
        "DreamerV3 samples actions from its policy, which entropy_scale keeps random; "
        "with .env_runners(explore=False) it chooses them as evaluation_action says.",
    )

    def _set(
        self, rows: Mapping[str, Option], rllibs: Callable[..., Any], given: Mapping[str, Any]
    ) -> "DreamerV3Config":
        """Set options of the table, and pass RLlib's own to RLlib's method."""
        own: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in given.items():
            if name in FORMER_OPTIONS and rows is TRAINING:
                check_former_option(name, value)
            elif value is not NotProvided:
                (own if name in rows else others)[name] = value
        known = {*rows, *inspect.signature(rllibs).parameters} - {"kwargs"}
        if unknown := [name for name in others if name not in known]:
            raise unknown_in_method(unknown, rllibs.__name__, known)
        for name in others:
            check_mapping(name, others[name])
        for name in own.keys() & {"replay_buffer_config"}:
            check_mapping(name, own[name])
        rllibs(**others)
        if "replay_buffer_config" in own:
            own["replay_buffer_config"] = self.replay_buffer_config | own["replay_buffer_config"]
        for name, value in own.items():
            setattr(self, name, value)
        return self

    def update_from_dict(self, config_dict: dict[str, Any]) -> "DreamerV3Config":
        """Set options by name, as YAML files and Tune pass them.

        Classes and functions may be named as ``module:Class``.

        Raises:
            ConfigError: If an option is unknown; names the most similar one. If a class or function
                cannot be imported.
        """
        # Tune adds keys such as __trial_info__ for itself.
        options = {key: x for key, x in config_dict.items() if not key.startswith("__")}
        for key in FORMER_OPTIONS.keys() & options.keys():
            check_former_option(key, options.pop(key))
        valid = set(vars(self)) | _DICT_ONLY_KEYS | {"framework", "callbacks"}
        unknown = [
            key
            for key in options
            if self._translate_special_keys(key, warn_deprecated=False) not in valid
        ]
        if unknown:
            raise unknown_options("option", unknown, valid)
        options = absolute_paths(with_named_classes(options))
        model_config = options.pop("model_config", None)
        if isinstance(options.get("replay_buffer_config"), dict):
            # RLlib would try to import the type as a class path.
            self.training(replay_buffer_config=options.pop("replay_buffer_config"))
        super().update_from_dict(options)
        if model_config is not None:
            self.rl_module(model_config=model_config)
        return self

    def _validate_to_be_deprecated_settings(self) -> None:
        # RLlib warns that env runners of the new API stack cannot render; those of DreamerV3 can.
        # Via __dict__, as frozen configs, whose attributes cannot be set, are validated too.
        render_env = self.render_env
        self.__dict__["render_env"] = False
        try:
            super()._validate_to_be_deprecated_settings()
        finally:
            self.__dict__["render_env"] = render_env

    def _validate_offline_settings(self) -> None:
        """Do nothing: RLlib would require batch_mode "complete_episodes" for recording."""

    def validate(self) -> None:
        """Check all options, each alone and against the others.

        Raises:
            ConfigError: For the first invalid option; says which values are valid.
        """
        check(self)
        if self.algo_class is not None:
            # Prevents RLlib's hint on how to leave the new API stack, which is not supported here.
            log_once(f"{self.algo_class.__name__}_on_new_api_stack")
        super().validate()

    def get_state(self) -> dict[str, Any]:
        # RLlib omits options whose value is -1; restoring would reset them to the default.
        lost = {name: x for name, x in vars(self).items() if isinstance(x, Number) and x == -1}
        return super().get_state() | lost

    @property
    def _variant(self) -> Variant:
        return variant_of(self.model_size, self.variant)

    def resolved(self, name: str) -> Any:
        """Return an option's value, or the variant's default if it is not set.

        Raises:
            ConfigError: If the option, model size or variant does not exist.
        """
        value = getattr(self, name, None)
        if value is None and name not in OPTIONS and not hasattr(self, name):
            raise unknown_name("option", name, OPTIONS)
        if value is None and name in OPTIONS:
            return OPTIONS[name].default(self._variant)
        return value

    def replay_buffer_options(self) -> dict[str, Any]:
        """Return all keys of ``replay_buffer_config``, completed by the variant's defaults.

        Raises:
            ConfigError: If a key is unknown or its value invalid.
        """
        return check_replay_buffer(self.replay_buffer_config, self._variant)

    def model_settings(self) -> ModelSettings:
        """Return the options that determine the networks.

        Raises:
            ConfigError: If one of them is invalid.
        """
        settings = settings_of(vars(self))
        if self.use_curiosity:
            return dataclasses.replace(settings, ensemble=self.resolved("curiosity_models"))
        return settings

    def codec_options(self) -> dict[str, Any]:
        """Return the arguments of ``spaces.codecs.make_codecs`` other than the spaces.

        Raises:
            ConfigError: If an option of the networks is invalid.
        """
        return {
            "image_size": self.image_size,
            "cnn": self.model_settings().cnn,
            "mask_key": self.action_mask_key,
            "normalize_actions": self.normalize_actions,
            "clip_actions": self.clip_actions,
        }

    def learning_options(self) -> LearningOptions:
        """Return the options of an update other than those of the networks."""
        learning, exploration = (
            {name: self.resolved(name) for name in options_of(group)}
            for group in (LearningOptions, ExplorationOptions)
        )
        return LearningOptions(**learning, exploration=ExplorationOptions(**exploration))

    def get_rollout_fragment_length(self, worker_index: int = 0) -> int:
        """Return the steps of each environment in one call of ``sample()``.

        RLlib's "auto" divides the train batch among the environments. Batches here come from
        replay, so "auto" is one step.
        """
        del worker_index
        length = self.rollout_fragment_length
        return 1 if length == "auto" else length

    @property
    def num_environments(self) -> int:
        """Number of environments that fill the replay buffer."""
        return max(1, self.num_env_runners) * self.num_envs_per_env_runner

    @property
    def is_offline(self) -> bool:
        """False: RLlib would read batches with its own ``OfflineData``, instead of into replay."""
        return False

    @property
    def recorded_data(self) -> list[str]:
        """Paths of recorded data; empty without any."""
        given = [self.input_] if isinstance(self.input_, str) else (self.input_ or ())
        return [place for place in given if place != "sampler"]

    @property
    def parts_to_start_with(self) -> list[str]:
        """Networks to take from ``start_checkpoint``; empty for all of the checkpoint."""
        return split_parts(self.start_parts)

    @property
    def never_samples(self) -> bool:
        """Whether all updates are from recorded data."""
        return bool(self.recorded_data) and self.pretrain_updates is None

    @property
    def updates_before_sampling(self) -> float:
        """Number of updates from recorded data before sampling; infinite if it never begins."""
        return math.inf if self.never_samples else self.pretrain_updates or 0

    @property
    def samples_asynchronously(self) -> bool:
        """Whether env runners sample while updates run."""
        return self.sampling == "asynchronous"

    @property
    def most_records_ahead(self) -> float:
        """Limit on records sampled beyond those that the next update needs."""
        if self.max_records_ahead is None:
            return math.inf
        if self.max_records_ahead != "auto":
            return self.max_records_ahead
        # Twice the requests in flight: one set being sampled, one waiting for updates.
        return 2 * self.max_requests_in_flight_per_env_runner * self.records_per_round

    @property
    def records_per_round(self) -> int:
        """Records of one call of each env runner, without the last records of episodes."""
        return self.num_environments * self.get_rollout_fragment_length()

    @property
    def records_to_start(self) -> int:
        """Minimum capacity of replay, in records, for updates to start."""
        replay = resolve(options_of(ReplayOptions), vars(self), self._variant)
        return records_to_start(replay, self.num_environments)

    @property
    def records_per_update(self) -> int:
        """B * T, the records in one training batch."""
        return self.batch_size_B * self.batch_length_T

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return {
            "settings": dataclasses.asdict(self.model_settings()),
            "image_size": self.image_size,
            "action_mask_key": self.action_mask_key,
            "normalize_actions": self.normalize_actions,
            "clip_actions": self.clip_actions,
            "evaluation_action": self.evaluation_action,
            "seed": self.seed,
        }

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        return RLModuleSpec(module_class=DreamerV3RLModule)

    def get_default_learner_class(self) -> type[DreamerV3Learner]:
        return DreamerV3Learner

    def build_learner_group(
        self,
        *,
        env: Any = None,
        spaces: Any = None,
        rl_module_spec: Any = None,
        placement_group: Any = None,
    ) -> LocalLearnerGroup | RemoteLearnerGroup:
        """Build the learner group: local, or remote if ``num_learners`` is positive.

        Args:
            env: An environment with the spaces.
            spaces: Observation and action space by module.
            rl_module_spec: Spec of the networks. By default derived from the spaces.
            placement_group: The placement group that RLlib created.
        """
        spec = rl_module_spec or self.get_multi_rl_module_spec(env=env, spaces=spaces)
        kind = RemoteLearnerGroup if self.num_learners else LocalLearnerGroup
        return kind(config=self.copy(), module_spec=spec, placement_group=placement_group)
