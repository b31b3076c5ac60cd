"""DreamerV3Config: every option, its default, its unit and its limits."""

import dataclasses
import inspect
from typing import Any

import gymnasium as gym
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rllib_dreamerv3.errors import ConfigError, unknown_name
from rllib_dreamerv3.learner.learner import DreamerV3Learner
from rllib_dreamerv3.learner.trainer import ActorGrad, AdamSettings, TrainerSettings
from rllib_dreamerv3.limits import LIMITS, POSITIVE_WHOLE, is_number
from rllib_dreamerv3.losses.world_model import WorldModelScales
from rllib_dreamerv3.model_sizes import ModelSettings, VectorMlp, model_settings
from rllib_dreamerv3.module.rl_module import DreamerV3RLModule
from rllib_dreamerv3.sampling.env_runner import DreamerV3EnvRunner, is_registered_with_tune
from rllib_dreamerv3.sampling.environments import (
    AtariOptions,
    check_atari_game,
    is_atari,
    unknown_environment,
)

LearningRate = float | list[list[int | float]]

# Keys that RLlib's config dicts hold beside the options of a config object.
_DICT_ONLY_KEYS = {"env", "model_config", "multiagent", "class", "_is_frozen"}

_REPLAY_DEFAULTS: dict[str, Any] = {
    "type": "EpisodeReplayBuffer",
    "capacity": 1_000_000,
    "capacity_bytes": None,
}


class DreamerV3Config(AlgorithmConfig):
    """Configuration of :class:`rllib_dreamerv3.DreamerV3`.

    Defaults are those of arXiv 2301.04104v1 with the model size and the training ratio of RLlib's
    former built-in DreamerV3, whose option names are kept.

    Example:
        >>> from rllib_dreamerv3 import DreamerV3Config
        >>> config = DreamerV3Config().environment("CartPole-v1").training(model_size="XXS")
        >>> algorithm = config.build_algo()
    """

    def __init__(self, algo_class: type | None = None):
        """Sets all defaults."""
        if algo_class is None:
            from rllib_dreamerv3.algorithm import DreamerV3

            algo_class = DreamerV3
        super().__init__(algo_class=algo_class)
        self.framework_str = "tf2"

        self.model_size = "XS"
        self.vector_mlp: VectorMlp = "scaled"
        self.unimix = 0.01
        self.symlog_obs: bool | str = "auto"

        self.training_ratio = 1024.0
        self.batch_size_B = 16
        self.batch_length_T = 64
        self.replay_buffer_config = dict(_REPLAY_DEFAULTS)
        self.num_steps_sampled_before_learning_starts = 1024

        self.horizon_H = 15
        self.gamma = 1.0 - 1.0 / 333.0
        self.gae_lambda = 0.95
        self.entropy_scale = 3e-4
        self.actor_grad: ActorGrad = "auto"
        self.return_normalization_decay = 0.99
        self.slow_critic_decay = 0.98
        self.slow_critic_scale = 1.0
        self.free_nats = 1.0
        self.prediction_loss_scale = 1.0
        self.dynamics_loss_scale = 0.5
        self.representation_loss_scale = 0.1

        self.world_model_lr: LearningRate = 1e-4
        self.actor_lr: LearningRate = 3e-5
        self.critic_lr: LearningRate = 3e-5
        self.world_model_grad_clip_by_global_norm = 1000.0
        self.actor_grad_clip_by_global_norm = 100.0
        self.critic_grad_clip_by_global_norm = 100.0

        self.report_images_and_videos = False
        self.report_dream_data = False
        self.report_individual_batch_item_stats = False
        self.report_frequency = 1000

        # RLlib's own options, where DreamerV3 needs other defaults.
        self.lr = None
        self.train_batch_size = None
        self.num_env_runners = 0
        self.rollout_fragment_length = 1
        # Few episodes are enough to learn; a long average would hide that.
        self.metrics_num_episodes_for_smoothing = 20
        # Long enough for results to cost nothing, short enough to see something happen.
        self.min_time_s_per_iteration = 10.0
        # Env runners hand observations to the policy themselves, and batches come from replay
        # ready for the update: all connector pipelines stay empty.
        self.env_runner_cls = DreamerV3EnvRunner
        self.add_default_connectors_to_env_to_module_pipeline = False
        self.add_default_connectors_to_module_to_env_pipeline = False
        self.add_default_connectors_to_learner_pipeline = False
        self._dont_auto_sync_env_runner_states = True

    def training(
        self,
        *,
        model_size: str = NotProvided,
        vector_mlp: VectorMlp = NotProvided,
        unimix: float = NotProvided,
        symlog_obs: bool | str = NotProvided,
        training_ratio: float = NotProvided,
        batch_size_B: int = NotProvided,
        batch_length_T: int = NotProvided,
        replay_buffer_config: dict[str, Any] = NotProvided,
        num_steps_sampled_before_learning_starts: int = NotProvided,
        horizon_H: int = NotProvided,
        gae_lambda: float = NotProvided,
        entropy_scale: float = NotProvided,
        actor_grad: ActorGrad = NotProvided,
        return_normalization_decay: float = NotProvided,
        slow_critic_decay: float = NotProvided,
        slow_critic_scale: float = NotProvided,
        free_nats: float = NotProvided,
        prediction_loss_scale: float = NotProvided,
        dynamics_loss_scale: float = NotProvided,
        representation_loss_scale: float = NotProvided,
        world_model_lr: LearningRate = NotProvided,
        actor_lr: LearningRate = NotProvided,
        critic_lr: LearningRate = NotProvided,
        world_model_grad_clip_by_global_norm: float = NotProvided,
        actor_grad_clip_by_global_norm: float = NotProvided,
        critic_grad_clip_by_global_norm: float = NotProvided,
        **kwargs: Any,
    ) -> "DreamerV3Config":
        """Sets what and how the algorithm learns.

        Args:
            model_size: nano, micro, mini, XXS, XS, S, M, L or XL.
            vector_mlp: Width of the MLPs for vector observations: "scaled" with the model size,
                or the "authors'" 5 x 1024 at every size.
            unimix: Share of the uniform distribution in prior, posterior and discrete actor.
            symlog_obs: Whether vector observations pass through symlog; "auto" means yes. Images
                never do.
            training_ratio: Trained records per sampled record. 1024 with batches of 16 x 64 is
                one update per record.
            batch_size_B: Rows of a training batch.
            batch_length_T: Records of a row.
            replay_buffer_config: ``capacity`` in records, ``capacity_bytes`` in bytes (None: no
                limit); whichever is reached first. ``type`` stays "EpisodeReplayBuffer".
            num_steps_sampled_before_learning_starts: Row starts that random actions must have
                filled replay with before the first update (records, less one row per stream).
            horizon_H: Imagined steps.
            gae_lambda: lambda of the lambda-return.
            entropy_scale: Weight of the actor's entropy bonus.
            actor_grad: "reinforce", "dynamics" (gradient through the world model; continuous
                actions only), or "auto": dynamics if all actions are continuous (2023 code).
            return_normalization_decay: Decay per update of the percentiles of returns.
            slow_critic_decay: Decay per update of the slow critic.
            slow_critic_scale: Weight of the slow critic as the critic's regulariser.
            free_nats: KL in nats below which L_dyn and L_rep stay constant.
            prediction_loss_scale: Weight of L_pred.
            dynamics_loss_scale: Weight of L_dyn.
            representation_loss_scale: Weight of L_rep.
            world_model_lr: Learning rate, or a schedule ``[[env step, rate], ...]``.
            actor_lr: Likewise.
            critic_lr: Likewise.
            world_model_grad_clip_by_global_norm: Largest gradient norm.
            actor_grad_clip_by_global_norm: Likewise.
            critic_grad_clip_by_global_norm: Likewise.
            **kwargs: RLlib's own training options, e.g. ``gamma``.

        Returns:
            This config.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        own = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        known = set(own) | (set(inspect.signature(super().training).parameters) - {"kwargs"})
        for name in kwargs:
            if name not in known:
                raise unknown_name("training option", name, known)
        super().training(**kwargs)
        replay = own.pop("replay_buffer_config")
        if replay is not NotProvided:
            self.replay_buffer_config = {**self.replay_buffer_config, **replay}
        for name, value in own.items():
            if value is not NotProvided:
                setattr(self, name, value)
        return self

    def reporting(
        self,
        *,
        report_images_and_videos: bool = NotProvided,
        report_dream_data: bool = NotProvided,
        report_individual_batch_item_stats: bool = NotProvided,
        report_frequency: int = NotProvided,
        **kwargs: Any,
    ) -> "DreamerV3Config":
        """Sets what results hold.

        Args:
            report_images_and_videos: Every ``report_frequency`` updates, a film strip of truth,
                open-loop prediction and error for image observations:
                ``reports/open_loop_<update>.png`` in the algorithm's ``logdir``; its path is in
                the results as ``reports/open_loop_image``. In Tune the ``logdir`` is the trial's
                working directory, which ``SyncConfig(sync_artifacts=True)`` copies to its results.
            report_dream_data: Every ``report_frequency`` updates, means of predicted reward,
                continue probability, value and lambda-return for each imagined step:
                ``DREAM_DATA_*_per_step`` beside the losses in the results.
            report_individual_batch_item_stats: With every result, losses of each record
                ``[B, T]`` of the iteration's last update: ``WORLD_MODEL_L_*_BxT``.
            report_frequency: Updates between two film strips, and between two dream data. Only
                results with such a report have its keys. All reports describe the networks as
                they are after an update.
            **kwargs: RLlib's own reporting options.

        Returns:
            This config.
        """
        own = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        super().reporting(**kwargs)
        for name, value in own.items():
            if value is not NotProvided:
                setattr(self, name, value)
        return self

    def update_from_dict(self, config_dict: dict[str, Any]) -> "DreamerV3Config":
        """Applies options by name, as YAML files and Tune give them.

        Raises:
            ConfigError: If an option is unknown; the message names the nearest one.
        """
        # Tune adds keys such as __trial_info__ for itself.
        options = {key: x for key, x in config_dict.items() if not key.startswith("__")}
        valid = set(vars(self)) | _DICT_ONLY_KEYS | {"framework", "callbacks", "lambda"}
        for key in options:
            if self._translate_special_keys(key, warn_deprecated=False) not in valid:
                public = {name for name in valid if not name.startswith("_")}
                raise unknown_name("option", key, public)
        model_config = options.pop("model_config", None)
        if isinstance(options.get("replay_buffer_config"), dict):
            # RLlib would try to import the type as a class path.
            self.training(replay_buffer_config=options.pop("replay_buffer_config"))
        super().update_from_dict(options)
        if model_config is not None:
            self.rl_module(model_config=model_config)
        return self

    def validate(self) -> None:
        """Checks all options, each alone and against the others.

        Raises:
            ConfigError: For the first option that is wrong; says what it may be.
        """
        self._check_values()
        self._check_contradictions()
        self._check_environment()
        super().validate()

    def _check_values(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if not limit.test(value):
                raise ConfigError(f"{name} must be {limit.words}, not {value!r}.")
        self.model_settings()
        for name, choices in {
            "actor_grad": ("auto", "reinforce", "dynamics"),
            "framework": ("tf2",),
        }.items():
            value = self.framework_str if name == "framework" else getattr(self, name)
            if value not in choices:
                raise ConfigError(
                    f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}."
                )
        for key in self.replay_buffer_config:
            if key not in _REPLAY_DEFAULTS:
                raise unknown_name("replay_buffer_config key", key, _REPLAY_DEFAULTS)
        if self.replay_buffer_config["type"] != _REPLAY_DEFAULTS["type"]:
            raise ConfigError(
                f"replay_buffer_config type must be {_REPLAY_DEFAULTS['type']!r}: DreamerV3 "
                f"replays rows of records, {self.replay_buffer_config['type']!r} does not."
            )

    def _check_environment(self) -> None:
        """Fails here, in the user's own process, and not later in an env runner's."""
        env = self.env
        if not isinstance(env, str) or is_registered_with_tune(env):
            return
        if is_atari(env):
            AtariOptions.from_env_config(self.env_config)
            check_atari_game(env)
            return
        try:
            gym.spec(env)
        except (gym.error.UnregisteredEnv, ModuleNotFoundError) as error:
            raise unknown_environment(env) from error

    def _check_contradictions(self) -> None:
        capacity = self.replay_buffer_config["capacity"]
        needed = self.num_steps_sampled_before_learning_starts + self.batch_length_T
        if not POSITIVE_WHOLE.test(capacity) or capacity < needed:
            raise ConfigError(
                f"replay_buffer_config capacity must be a whole number of at least {needed} "
                "records (num_steps_sampled_before_learning_starts + batch_length_T), not "
                f"{capacity!r}: training would never start."
            )
        if self.num_learners:
            if self.batch_size_B % self.num_learners:
                raise ConfigError(
                    f"batch_size_B ({self.batch_size_B}) must be divisible by num_learners "
                    f"({self.num_learners})."
                )
            raise ConfigError(
                f"num_learners is {self.num_learners}, but remote learners do not exist yet in "
                "this version. Set num_learners: 0; the learner then runs in the main process, "
                "on a GPU if num_gpus_per_learner: 1."
            )
        if self.train_batch_size is not None:
            raise ConfigError(
                "train_batch_size has no meaning here; set batch_size_B and batch_length_T."
            )
        if self.lr is not None:
            raise ConfigError("lr has no meaning here; set world_model_lr, actor_lr and critic_lr.")
        if self._env_to_module_connector or self._module_to_env_connector:
            raise ConfigError(
                "DreamerV3's env runners use no connectors. Wrap the environment with "
                "gymnasium.wrappers instead of setting env_to_module_connector or "
                "module_to_env_connector."
            )
        if self.is_multi_agent:
            raise ConfigError("DreamerV3 trains a single agent; remove the multi_agent settings.")

    def model_settings(self) -> ModelSettings:
        """Resolves the options that decide the networks."""
        return model_settings(
            self.model_size,
            vector_mlp=self.vector_mlp,
            unimix=self.unimix,
            symlog_vectors=self.symlog_obs is not False,
        )

    def trainer_settings(self) -> TrainerSettings:
        """Resolves the options that decide an update."""

        def adam(part: str, epsilon: float) -> AdamSettings:
            rate = getattr(self, f"{part}_lr")
            first_rate = rate if is_number(rate) else rate[0][1]
            clip = getattr(self, f"{part}_grad_clip_by_global_norm")
            return AdamSettings(first_rate, epsilon, clip)

        return TrainerSettings(
            horizon=self.horizon_H,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            entropy_scale=self.entropy_scale,
            actor_grad=self.actor_grad,
            return_decay=self.return_normalization_decay,
            slow_critic_decay=self.slow_critic_decay,
            slow_critic_scale=self.slow_critic_scale,
            world_model_scales=WorldModelScales(
                prediction=self.prediction_loss_scale,
                dynamics=self.dynamics_loss_scale,
                representation=self.representation_loss_scale,
                free_nats=self.free_nats,
            ),
            world_model=adam("world_model", 1e-8),
            actor=adam("actor", 1e-5),
            critic=adam("critic", 1e-5),
        )

    @property
    def records_per_update(self) -> int:
        """B * T, records in one training batch."""
        return self.batch_size_B * self.batch_length_T

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return {"settings": dataclasses.asdict(self.model_settings()), "seed": self.seed}

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """The module that holds the networks."""
        return RLModuleSpec(module_class=DreamerV3RLModule)

    def get_default_learner_class(self) -> type[DreamerV3Learner]:
        """The learner that runs the compiled update."""
        return DreamerV3Learner
