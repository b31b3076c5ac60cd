"""DreamerV3Config: every option, its default, its unit and its limits."""

import dataclasses
import inspect
from typing import Any, Literal

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

import rllib_dreamerv3
from rllib_dreamerv3.errors import unknown_name
from rllib_dreamerv3.options.model_sizes import ComputeDtype, ModelSettings, VectorMlp, variant_of
from rllib_dreamerv3.options.settings import ActorGrad, LaPropSettings, TrainerSettings
from rllib_dreamerv3.options.variants import (
    VARIANT_DEFAULTS,
    Cnn,
    DiscreteObservations,
    ImaginedContinues,
    InitialState,
    Norm,
    OptimizerType,
    SequenceModel,
    TwoHotBins,
    Variant,
    WeightInit,
)
from rllib_dreamerv3.plugin.checks import ADAM_OPTIONS, REPLAY_DEFAULTS, check
from rllib_dreamerv3.plugin.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.settings import (
    LearningRate,
    model_settings_of,
    trainer_settings_of,
)

EvaluationAction = Literal["sample", "mode"]

# Keys that RLlib's config dicts hold beside the options of a config object.
_DICT_ONLY_KEYS = {"env", "model_config", "multiagent", "class", "_is_frozen"}
# Defaults of a variant that are set through another option.
_NOT_OPTIONS = ("replay_capacity",)


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

        self.model_size = "XS"
        self.variant: Variant | None = None
        for name in VARIANT_DEFAULTS["v1"]:
            if name not in _NOT_OPTIONS:
                setattr(self, name, None)
        self.compute_dtype: ComputeDtype = "float32"
        self.image_size: int | None = None
        self.vector_mlp: VectorMlp = "scaled"
        self.unimix = 0.01
        self.symlog_obs: bool | str = "auto"

        self.training_ratio = 1024.0
        self.batch_size_B = 16
        self.batch_length_T = 64
        self.replay_buffer_config = dict(REPLAY_DEFAULTS)
        self.num_steps_sampled_before_learning_starts = 1024

        self.horizon_H = 15
        self.gamma = 1.0 - 1.0 / 333.0
        self.gae_lambda = 0.95
        self.entropy_scale = 3e-4
        self.return_normalization_decay = 0.99
        self.slow_critic_decay = 0.98
        self.slow_critic_scale = 1.0
        self.free_nats = 1.0
        self.prediction_loss_scale = 1.0
        self.representation_loss_scale = 0.1

        for name, value in ADAM_OPTIONS.items():
            setattr(self, name, value)
        self.lr_warmup = LaPropSettings.warmup
        self.adaptive_grad_clip = LaPropSettings.clip_share

        self.evaluation_action: EvaluationAction = "sample"

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
        variant: Variant | None = NotProvided,
        sequence_model: SequenceModel | None = NotProvided,
        norm: Norm | None = NotProvided,
        hidden_bias: bool | None = NotProvided,
        weight_init: WeightInit | None = NotProvided,
        actor_output_scale: float | None = NotProvided,
        cnn: Cnn | None = NotProvided,
        image_size: int | None = NotProvided,
        initial_state: InitialState | None = NotProvided,
        discrete_observations: DiscreteObservations | None = NotProvided,
        two_hot_bins: TwoHotBins | None = NotProvided,
        compute_dtype: ComputeDtype = NotProvided,
        vector_mlp: VectorMlp = NotProvided,
        unimix: float = NotProvided,
        symlog_obs: bool | str = NotProvided,
        training_ratio: float = NotProvided,
        batch_size_B: int = NotProvided,
        batch_length_T: int = NotProvided,
        replay_buffer_config: dict[str, Any] = NotProvided,
        replay_context: int | None = NotProvided,
        online_queue: bool | None = NotProvided,
        random_prefill: bool | None = NotProvided,
        num_steps_sampled_before_learning_starts: int = NotProvided,
        horizon_H: int = NotProvided,
        gae_lambda: float = NotProvided,
        entropy_scale: float = NotProvided,
        actor_grad: ActorGrad | None = NotProvided,
        discount_in_continue: bool | None = NotProvided,
        imagined_continues: ImaginedContinues | None = NotProvided,
        return_normalization_decay: float = NotProvided,
        slow_critic_decay: float = NotProvided,
        slow_critic_scale: float = NotProvided,
        replay_critic_scale: float | None = NotProvided,
        free_nats: float = NotProvided,
        prediction_loss_scale: float = NotProvided,
        dynamics_loss_scale: float | None = NotProvided,
        representation_loss_scale: float = NotProvided,
        world_model_lr: LearningRate = NotProvided,
        actor_lr: LearningRate = NotProvided,
        critic_lr: LearningRate = NotProvided,
        world_model_grad_clip_by_global_norm: float = NotProvided,
        actor_grad_clip_by_global_norm: float = NotProvided,
        critic_grad_clip_by_global_norm: float = NotProvided,
        optimizer_type: OptimizerType | None = NotProvided,
        lr_warmup: int = NotProvided,
        adaptive_grad_clip: float = NotProvided,
        **kwargs: Any,
    ) -> "DreamerV3Config":
        """Sets what and how the algorithm learns.

        Args:
            model_size: nano, micro, mini, XXS, XS, S, M, L or XL of v1; 1M, 12M, 25M, 50M, 100M,
                200M or 400M of v2. Decides the numbers of units and layers.
            variant: "v1" (arXiv 2301.04104v1) or "v2" (Nature 2025). Decides the defaults of all
                options that say "v1: ..., v2: ...". None: the variant of the model size.
            sequence_model: GRU with one layer norm, or with block-diagonal kernels. v1: "gru",
                v2: "block_gru".
            norm: Norm of all other layers. v1: "layer", v2: "rms".
            hidden_bias: Whether layers before a norm have a bias. v1: False, v2: True.
            weight_init: By the mean of inputs and outputs, or by inputs. v1: "fan_avg",
                v2: "fan_in".
            actor_output_scale: Scale of the actor's initial output weights. v1: 1, v2: 0.01.
            cnn: 4x4 convolutions of stride 2, or 5x5 convolutions with pooling. v1: "strided",
                v2: "pooled".
            image_size: Pixels a side to which images are resized; None: 64 if they do not fit.
            initial_state: Before an episode: a learned state, or zeros. v1: "learned", v2: "zeros".
            discrete_observations: Predicted as one-hot numbers ("vector") or as classes.
                v1: "vector", v2: "categorical".
            two_hot_bins: Bins of reward head and critic: even for symlog of a number, or
                exponentially spaced for the number itself. v1: "symlog", v2: "symexp".
            compute_dtype: "float32", or "bfloat16" for large products and convolutions;
                parameters, losses and optimizers are float32 always.
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
                Capacity None is v1: 1,000,000, v2: 5,000,000.
            replay_context: Records before each row, 0 or 1, whose stored latents the row starts
                from. v1: 0, v2: 1.
            online_queue: Whether each new record is trained on once before rows are drawn at
                random. v1: False, v2: True.
            random_prefill: Whether actions are random, and not the policy's, until updates begin.
                v1: True, v2: False.
            num_steps_sampled_before_learning_starts: Row starts that replay must hold before the
                first update (records, less one row per stream).
            horizon_H: Imagined steps.
            gae_lambda: lambda of the lambda-return.
            entropy_scale: Weight of the actor's entropy bonus.
            actor_grad: "reinforce", "dynamics" (gradient through the world model; continuous
                actions only), or "auto": dynamics if all actions are continuous (2023 code).
                v1: "auto", v2: "reinforce".
            discount_in_continue: Whether the continue head learns the discount factor with the
                chance to go on. v1: False, v2: True.
            imagined_continues: In imagination episodes end where that is more likely than not
                ("mode"), or everywhere a little ("probability"). v1: "mode", v2: "probability".
            return_normalization_decay: Decay per update of the percentiles of returns.
            slow_critic_decay: Decay per update of the slow critic.
            slow_critic_scale: Weight of the slow critic as the critic's regulariser.
            replay_critic_scale: Weight of the critic's loss on replayed records. v1: 0, v2: 0.3.
            free_nats: KL in nats below which L_dyn and L_rep stay constant.
            prediction_loss_scale: Weight of L_pred.
            dynamics_loss_scale: Weight of L_dyn. v1: 0.5, v2: 1.
            representation_loss_scale: Weight of L_rep.
            world_model_lr: Learning rate of Adam, or a schedule ``[[env step, rate], ...]``.
            actor_lr: Likewise.
            critic_lr: Likewise.
            world_model_grad_clip_by_global_norm: Largest gradient norm.
            actor_grad_clip_by_global_norm: Likewise.
            critic_grad_clip_by_global_norm: Likewise.
            optimizer_type: Three Adams with the options above, or one LaProp with ``lr`` (4e-5) and
                the two options below. v1: "adam", v2: "laprop".
            lr_warmup: Updates over which LaProp's learning rate grows from 0.
            adaptive_grad_clip: Largest norm of a gradient as a share of its parameter's norm.
            **kwargs: RLlib's own training options, e.g. ``gamma``, ``lr``.

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

    def evaluation(
        self, *, evaluation_action: EvaluationAction = NotProvided, **kwargs: Any
    ) -> "DreamerV3Config":
        """Sets how the policy is evaluated.

        Args:
            evaluation_action: What ``explore=False`` stands for: "sample" actions, as in training
                and as the published scores were made, or take the "mode", the most likely one.
            **kwargs: RLlib's own evaluation options.

        Returns:
            This config.
        """
        super().evaluation(**kwargs)
        if evaluation_action is not NotProvided:
            self.evaluation_action = evaluation_action
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
        check(self)
        super().validate()

    def resolved(self, name: str) -> Any:
        """An option's value: as it was set, or else the variant's default.

        Raises:
            ConfigError: If there is no such model size or variant.
        """
        value = getattr(self, name)
        if value is not None:
            return value
        return VARIANT_DEFAULTS[variant_of(self.model_size, self.variant)].get(name)

    @property
    def replay_capacity(self) -> int:
        """Records that replay holds at most."""
        capacity = self.replay_buffer_config["capacity"]
        if capacity is not None:
            return capacity
        return VARIANT_DEFAULTS[variant_of(self.model_size, self.variant)]["replay_capacity"]

    def model_settings(self) -> ModelSettings:
        """The options that decide the networks."""
        return model_settings_of(self)

    def trainer_settings(self) -> TrainerSettings:
        """The options that decide an update."""
        return trainer_settings_of(self)

    @property
    def records_per_update(self) -> int:
        """B * T, records in one training batch."""
        return self.batch_size_B * self.batch_length_T

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return {
            "settings": dataclasses.asdict(self.model_settings()),
            "image_size": self.image_size,
            "evaluation_action": self.evaluation_action,
            "seed": self.seed,
        }

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """The module that holds the networks."""
        return RLModuleSpec(module_class=DreamerV3RLModule)

    def get_default_learner_class(self) -> type[DreamerV3Learner]:
        """The learner that runs the compiled update."""
        return DreamerV3Learner
