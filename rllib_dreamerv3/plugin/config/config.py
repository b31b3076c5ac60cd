"""DreamerV3Config: every option, its default, its unit and its limits."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

import rllib_dreamerv3
from rllib_dreamerv3.errors import ConfigError, unknown_name
from rllib_dreamerv3.options.checks import (
    check_mapping,
    check_replay_buffer,
    records_to_start,
    resolve,
)
from rllib_dreamerv3.options.docstrings import with_options
from rllib_dreamerv3.options.former import FORMER_OPTIONS, check_former_option
from rllib_dreamerv3.options.model_sizes import ModelSettings, settings_of, variant_of
from rllib_dreamerv3.options.option import Option, options_of
from rllib_dreamerv3.options.rllibs_refused import REFUSED
from rllib_dreamerv3.options.table import (
    CHECKPOINTING,
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
    EnvironmentOptions,
    EvaluationOptions,
    FaultToleranceOptions,
    LearningOptions,
    ReplayOptions,
    ReportingOptions,
    SamplingOptions,
    Variant,
)
from rllib_dreamerv3.plugin.config.checks import check, naming_the_nearest, unknown_option
from rllib_dreamerv3.plugin.learners.group import LocalLearnerGroup, RemoteLearnerGroup
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.environments import register_spec

# Keys that RLlib's config dicts hold beside the options of a config object.
_DICT_ONLY_KEYS = {"env", "model_config", "multiagent", "class", "_is_frozen"}


class DreamerV3Config(AlgorithmConfig):
    """Configuration of :class:`rllib_dreamerv3.DreamerV3`.

    Defaults are those of arXiv 2301.04104v1 with the model size and the training ratio of RLlib's
    former built-in DreamerV3, whose option names are kept. A model size of the 2025 revision, such
    as "12M", brings that revision's defaults with it. Options that differ between the two are None
    until they are set; :meth:`resolved` says what they then stand for.

    Example:
        >>> from rllib_dreamerv3 import DreamerV3Config
        >>> config = DreamerV3Config().environment("CartPole-v1").training(model_size="XXS")
        >>> algorithm = config.build_algo()
    """

    def __init__(self, algo_class: type | None = None):
        """Sets all defaults."""
        # RLlib wants algorithm and config to name each other; the public name is looked up late.
        super().__init__(algo_class=algo_class or rllib_dreamerv3.DreamerV3)
        self.framework_str = "tf2"

        for name, row in OPTIONS.items():
            setattr(self, name, row.config_default)
        self.replay_buffer_config = {x.name: x.config_default for x in REPLAY_BUFFER.values()}

        # RLlib's own options, where DreamerV3 needs other defaults.
        self.train_batch_size = None
        self.num_env_runners = 0
        self.rollout_fragment_length = 1
        # Few episodes are enough to learn; a long average would hide that.
        self.metrics_num_episodes_for_smoothing = 20
        # Long enough for results to cost nothing, short enough to see something happen.
        self.min_time_s_per_iteration = 10.0
        # An environment that always fails should say so within a minute, not after hours.
        self.num_consecutive_env_runner_failures_tolerance = 10
        self.delay_between_env_runner_restarts_s = 1.0
        # Env runners hand observations to the policy themselves, and batches come from replay
        # ready for the update: all connector pipelines stay empty.
        self.env_runner_cls = DreamerV3EnvRunner
        self.add_default_connectors_to_env_to_module_pipeline = False
        self.add_default_connectors_to_module_to_env_pipeline = False
        self.add_default_connectors_to_learner_pipeline = False
        self._dont_auto_sync_env_runner_states = True

    @with_options(*TRAINING_GROUPS, unset=NotProvided)
    def training(self, **kwargs: Any) -> "DreamerV3Config":
        """Sets what and how the algorithm learns.

        Args:
            **kwargs: RLlib's own training options. Options of RLlib's former DreamerV3 that do
                nothing here are accepted where they ask for nothing.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        return self._set(TRAINING, super().training, kwargs)

    @with_options(EnvironmentOptions, unset=NotProvided)
    def environment(self, env: Any = NotProvided, **kwargs: Any) -> "DreamerV3Config":
        """Sets the environment and what is done to it.

        Args:
            env: An id of Gymnasium or of a benchmark, ``module:Class``, a name given to
                ``register_env``, a class, or a function that makes an environment.
            **kwargs: RLlib's own options of environments.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        if isinstance(env, str):
            register_spec(env)
        return self._set(ENVIRONMENT, super().environment, {"env": env, **kwargs})

    @with_options(SamplingOptions, unset=NotProvided)
    def env_runners(self, **kwargs: Any) -> "DreamerV3Config":
        """Sets where and how environments are stepped.

        Args:
            **kwargs: RLlib's own options of env runners.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        return self._set(SAMPLING, super().env_runners, kwargs)

    @with_options(EvaluationOptions, unset=NotProvided)
    def evaluation(self, **kwargs: Any) -> "DreamerV3Config":
        """Sets how the policy is evaluated.

        Args:
            **kwargs: RLlib's own evaluation options.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        return self._set(EVALUATION, super().evaluation, kwargs)

    @with_options(ReportingOptions, unset=NotProvided)
    def reporting(self, **kwargs: Any) -> "DreamerV3Config":
        """Sets what results hold.

        Only results with a report have its keys. All reports describe the networks as they are
        after an update. In Tune the ``logdir`` is the trial's working directory, which
        ``SyncConfig(sync_artifacts=True)`` copies to its results.

        Args:
            **kwargs: RLlib's own reporting options.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        return self._set(REPORTING, super().reporting, kwargs)

    @with_options(CheckpointingOptions, unset=NotProvided)
    def checkpointing(self, **kwargs: Any) -> "DreamerV3Config":
        """Sets how checkpoints are made.

        Args:
            **kwargs: RLlib's own checkpointing options.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        return self._set(CHECKPOINTING, super().checkpointing, kwargs)

    @with_options(FaultToleranceOptions, unset=NotProvided)
    def fault_tolerance(self, **kwargs: Any) -> "DreamerV3Config":
        """Sets what happens when something fails.

        Args:
            **kwargs: RLlib's own options of fault tolerance.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        return self._set(FAULT_TOLERANCE, super().fault_tolerance, kwargs)

    # Those of RLlib that take no options of ours.
    callbacks = naming_the_nearest("callbacks")
    debugging = naming_the_nearest("debugging")
    learners = naming_the_nearest("learners")
    resources = naming_the_nearest("resources")
    rl_module = naming_the_nearest("rl_module")

    def _set(
        self, rows: Mapping[str, Option], rllibs: Callable[..., Any], given: Mapping[str, Any]
    ) -> "DreamerV3Config":
        """Sets options of the table here, and RLlib's own by its own method."""
        own: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in given.items():
            if name in FORMER_OPTIONS and rows is TRAINING:
                check_former_option(name, value)
            elif value is not NotProvided:
                (own if name in rows else others)[name] = value
        known = {*rows, *inspect.signature(rllibs).parameters} - {"kwargs"}
        for name in others:
            if name not in known:
                raise unknown_option(name, rllibs.__name__, known)
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
        """Applies options by name, as YAML files and Tune give them.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        # Tune adds keys such as __trial_info__ for itself.
        options = {key: x for key, x in config_dict.items() if not key.startswith("__")}
        for key in FORMER_OPTIONS.keys() & options.keys():
            check_former_option(key, options.pop(key))
        valid = set(vars(self)) | _DICT_ONLY_KEYS | {"framework", "callbacks"}
        for key in options:
            if self._translate_special_keys(key, warn_deprecated=False) not in valid:
                if key in REPLAY_BUFFER:
                    raise ConfigError(f"{key!r} belongs into replay_buffer_config.")
                public = {name for name in valid if not name.startswith("_")}
                raise unknown_name("option", key, public - REFUSED.keys())
        model_config = options.pop("model_config", None)
        if isinstance(options.get("replay_buffer_config"), dict):
            # RLlib would try to import the type as a class path.
            self.training(replay_buffer_config=options.pop("replay_buffer_config"))
        super().update_from_dict(options)
        if model_config is not None:
            self.rl_module(model_config=model_config)
        return self

    def _validate_to_be_deprecated_settings(self) -> None:
        # RLlib warns that env runners of the new API stack show nothing; those of DreamerV3 do.
        # Validation does not stop at frozen configs, whose attributes cannot be set.
        render_env = self.render_env
        self.__dict__["render_env"] = False
        try:
            super()._validate_to_be_deprecated_settings()
        finally:
            self.__dict__["render_env"] = render_env

    def validate(self) -> None:
        """Checks all options, each alone and against the others.

        Raises:
            ConfigError: For the first option that is wrong; says what it may be.
        """
        check(self)
        super().validate()

    def get_state(self) -> dict[str, Any]:
        """RLlib's, which would leave out what is -1, and the default would count in its place."""
        lost = {name: x for name, x in vars(self).items() if isinstance(x, Number) and x == -1}
        return super().get_state() | lost

    @property
    def _variant(self) -> Variant:
        return variant_of(self.model_size, self.variant)

    def resolved(self, name: str) -> Any:
        """An option's value: as it was set, or else the variant's default.

        Raises:
            ConfigError: If there is no such option, model size or variant.
        """
        value = getattr(self, name, None)
        if value is None and name not in OPTIONS and not hasattr(self, name):
            raise unknown_name("option", name, OPTIONS)
        if value is None and name in OPTIONS:
            return OPTIONS[name].default(self._variant)
        return value

    def replay_buffer_options(self) -> dict[str, Any]:
        """All keys of ``replay_buffer_config``, with the variant's defaults.

        Raises:
            ConfigError: If a key is unknown or cannot have its value.
        """
        return check_replay_buffer(self.replay_buffer_config, self._variant)

    def model_settings(self) -> ModelSettings:
        """The options that decide the networks.

        Raises:
            ConfigError: If one of them cannot have its value.
        """
        return settings_of(vars(self))

    def learning_options(self) -> LearningOptions:
        """The options that decide an update, besides the networks."""
        return LearningOptions(
            **{name: self.resolved(name) for name in options_of(LearningOptions)}
        )

    def get_rollout_fragment_length(self, worker_index: int = 0) -> int:
        """Steps of each environment in one call of ``sample()``.

        RLlib's "auto" divides the train batch among the environments; where batches come from
        replay, one step does as well.
        """
        del worker_index
        length = self.rollout_fragment_length
        return 1 if length == "auto" else length

    @property
    def num_environments(self) -> int:
        """Environments that fill the replay buffer at the same time."""
        return max(1, self.num_env_runners) * self.num_envs_per_env_runner

    @property
    def samples_asynchronously(self) -> bool:
        """Whether env runners sample while updates run."""
        return self.sampling == "asynchronous"

    @property
    def most_records_ahead(self) -> float:
        """Records that may be sampled beyond those for which the next update is due."""
        if self.max_records_ahead is None:
            return math.inf
        if self.max_records_ahead != "auto":
            return self.max_records_ahead
        # What env runners hold, once while it is sampled and once while it waits for updates.
        return 2 * self.max_requests_in_flight_per_env_runner * self.records_per_round

    @property
    def records_per_round(self) -> int:
        """Records of one call of each env runner, but for those that end episodes."""
        return self.num_environments * self.get_rollout_fragment_length()

    @property
    def records_to_start(self) -> int:
        """Records that replay must be able to hold so that updates begin."""
        replay = resolve(options_of(ReplayOptions), vars(self), self._variant)
        return records_to_start(replay, self.num_environments)

    @property
    def records_per_update(self) -> int:
        """B * T, records in one training batch."""
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
        """The module that holds the networks."""
        return RLModuleSpec(module_class=DreamerV3RLModule)

    def get_default_learner_class(self) -> type[DreamerV3Learner]:
        """The learner that runs the compiled update."""
        return DreamerV3Learner

    def build_learner_group(
        self,
        *,
        env: Any = None,
        spaces: Any = None,
        rl_module_spec: Any = None,
        placement_group: Any = None,
    ) -> LocalLearnerGroup | RemoteLearnerGroup:
        """Returns the group of learners, in this process or in their own.

        Args:
            env: An environment that knows the spaces.
            spaces: Observation and action space by module.
            rl_module_spec: Of the networks; by default it follows from the spaces.
            placement_group: RLlib's.
        """
        spec = rl_module_spec or self.get_multi_rl_module_spec(env=env, spaces=spaces)
        kind = RemoteLearnerGroup if self.num_learners else LocalLearnerGroup
        return kind(config=self.copy(), module_spec=spec, placement_group=placement_group)
