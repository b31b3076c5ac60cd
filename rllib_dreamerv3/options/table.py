"""The table of options: everything users can set, a row for each.

A row is a field of one of the groups below: its name, its type or choices, the default of v1 (and
of v2, where the two published versions differ), range, unit, and a sentence. From it follow the
defaults and checks of the config, the documentation of its methods, `docs/options.md`, and what
networks and trainer read. For a new option see "A new option" in ``docs/architecture.md``.

``v1`` is arXiv 2301.04104v1 with the authors' code of 2023, ``v2`` the revision in Nature (2025)
with their code of 2025. ``model_sizes.py`` has their sizes and chooses between the defaults.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from rllib_dreamerv3.options.learning_rate import LearningRate, first_rate
from rllib_dreamerv3.options.option import option, options_of
from rllib_dreamerv3.options.replay_sampling import ReplaySampling

Variant = Literal["v1", "v2"]
SequenceModel = Literal["gru", "block_gru"]
Norm = Literal["layer", "rms"]
WeightInit = Literal["fan_avg", "fan_in"]
Cnn = Literal["strided", "pooled"]
"""How the CNN reduces the resolution, which decides what image sizes it can take.

"strided" (2023 code) halves an image until it is 4x4: square images whose side is a power of two
of at least 8 pixels. "pooled" (2025 code) halves it exactly four times, to 3x3 at least and 16x16
at most: square images whose side is a multiple of 16 from 48 to 256 pixels.
"""
InitialState = Literal["learned", "zeros"]
DiscreteObservations = Literal["vector", "categorical"]
TwoHotBins = Literal["symlog", "symexp"]
ImaginedContinues = Literal["mode", "probability"]
OptimizerType = Literal["adam", "laprop"]
ActorGrad = Literal["auto", "reinforce", "dynamics"]
ComputeDtype = Literal["float32", "bfloat16"]
ComputeDtypeOption = Literal["float32", "bfloat16", "auto"]
VectorMlp = Literal["scaled", "authors"]
EvaluationAction = Literal["sample", "mode"]
OnDivergence = Literal["stop", "ignore", "rewind"]
Sampling = Literal["synchronous", "asynchronous"]

_WITH_ADAM = ("optimizer_type", "adam")
_WITH_LAPROP = ("optimizer_type", "laprop")
_WITH_CURIOSITY = ("use_curiosity", True)


@dataclass(frozen=True, kw_only=True)
class SizeOptions:
    """Size of the networks."""

    model_size: str = option(
        "XS",
        "Units and layers: nano, micro, mini, XXS, XS, S, M, L, XL of v1; 1M, 12M, 25M, 50M, "
        "100M, 200M, 400M of v2.",
        common=True,
    )
    variant: Variant | None = option(
        None,
        "Published version whose defaults apply: v1 (2023) or v2 (2025). None: derived from "
        "model_size.",
        common=True,
    )
    vector_mlp: VectorMlp = option(
        "scaled",
        "Width of the MLPs for vector observations: scaled with the model size, or the authors' 5 "
        "x 1024 (2023 code) at every size.",
    )
    image_size: int | None = option(
        None,
        "Side to which images are resized. None: resized to 64 only if the CNN cannot take them "
        "as they are.",
        least=1,
        unit="pixels",
        common=True,
    )


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Kinds of layers."""

    sequence_model: SequenceModel = option(
        "gru",
        "A GRU with one layer norm over all gates, or a block GRU with 8 diagonal blocks.",
        v2="block_gru",
    )
    norm: Norm = option("layer", "Norm of all other layers: layer norm or RMS norm.", v2="rms")
    hidden_bias: bool = option(False, "Whether layers before a norm have a bias.", v2=True)
    weight_init: WeightInit = option(
        "fan_avg",
        "Variance of the initial weights: by the mean of fan-in and fan-out, or by fan-in.",
        v2="fan_in",
    )
    actor_output_scale: float = option(
        1.0, "Scale of the initial weights of the actor's output layer.", v2=0.01, least=0
    )
    cnn: Cnn = option(
        "strided",
        "4x4 convolutions of stride 2, transposed in the decoder; or 5x5 convolutions with "
        "max-pooling, and a decoder with upsampling and a final sigmoid.",
        v2="pooled",
    )
    initial_state: InitialState = option(
        "learned",
        "Initial state of an episode: a learned h with the mode of its prior, or zeros.",
        v2="zeros",
    )
    discrete_observations: DiscreteObservations = option(
        "vector",
        "Discrete observations: as one-hot vectors with a squared error, or as classes with a "
        "cross-entropy.",
        v2="categorical",
    )
    compute_dtype: ComputeDtypeOption = option(
        "auto",
        "Dtype of large matrix products and convolutions. Parameters, losses and optimizers are "
        "float32. auto: bfloat16 if this machine multiplies at least 1.5 times as fast in it, else "
        "float32.",
        common=True,
    )
    unimix: float = option(
        0.01,
        "Weight of the uniform distribution that is mixed into prior and posterior.",
        least=0,
        most=1,
    )
    actor_unimix: float = option(
        0.01,
        "Weight of the uniform distribution that is mixed into discrete actions, as in both "
        "papers. The 2025 code sets it but does not apply it; use 0 to match that code.",
        least=0,
        most=1,
    )
    symlog_obs: Literal["auto", True, False] = option(
        "auto", "Whether vector observations pass through symlog. auto means true."
    )


@dataclass(frozen=True, kw_only=True)
class ExplorationOptions:
    """Exploration."""

    use_curiosity: bool = option(
        False,
        "Whether the actor also seeks what the world model cannot predict yet (Plan2Explore): the "
        "disagreement of an ensemble of one-step models is a second imagined reward.",
    )
    intrinsic_rewards_scale: float = option(
        0.1,
        "Weight of the intrinsic reward's normalised advantage beside that of the environment's "
        "reward, which has the weight 1. Without effect unless use_curiosity is true.",
        above=0,
    )
    explore_only: bool = option(
        False,
        "Whether the actor ignores the environment's reward, to explore before there is a task. "
        "Reward head and critic continue to learn it.",
        only_with=_WITH_CURIOSITY,
    )
    curiosity_models: int = option(
        8, "Number of models in the ensemble.", least=2, only_with=_WITH_CURIOSITY
    )

    @property
    def weights(self) -> dict[str, float]:
        """Weight in the actor's loss of the advantage by each critic."""
        if not self.use_curiosity:
            return {"critic": 1.0}
        task = 0.0 if self.explore_only else 1.0
        return {"critic": task, "intrinsic_critic": self.intrinsic_rewards_scale}


@dataclass(frozen=True, kw_only=True)
class LearningOptions:
    """Losses and optimizers."""

    horizon_H: int = option(15, "Imagination horizon.", least=1, unit="steps", common=True)
    imag_last: int = option(
        0,
        "Imagination starts from this many last records of each sequence, and the critic loss on "
        "replay uses the same records; 0: all. Smaller values make updates faster.",
        least=0,
        unit="records",
    )
    gamma: float = option(1.0 - 1.0 / 333.0, "Discount factor.", above=0, most=1, common=True)
    gae_lambda: float = option(0.95, "Lambda of the lambda-return.", least=0, most=1)
    entropy_scale: float = option(
        3e-4, "Weight of the actor's entropy bonus.", least=0, common=True
    )
    actor_grad: ActorGrad = option(
        "auto",
        "Gradient of the actor: reinforce; dynamics, which is backpropagation through the world "
        "model and needs continuous actions; or auto, which is dynamics if all actions are "
        "continuous.",
        v2="reinforce",
    )
    return_normalization_decay: float = option(
        0.99, "Decay of the return percentiles per update.", least=0, most=1
    )
    slow_critic_decay: float = option(0.98, "Decay of the slow critic per update.", least=0, most=1)
    first_update_copies_critic: bool = option(
        True,
        "Whether the first update copies the critic into the slow critic, which follows it slowly "
        "only from the second update on.",
        v2=False,
    )
    slow_critic_scale: float = option(
        1.0, "Weight of the slow critic as a regulariser of the critic.", least=0
    )
    replay_critic_scale: float = option(
        0.0, "Weight of the critic loss on replayed records.", v2=0.3, least=0
    )
    two_hot_bins: TwoHotBins = option(
        "symlog",
        "Bins of reward head and critic: evenly spaced in symlog space, or exponentially spaced "
        "in the original space.",
        v2="symexp",
    )
    discount_in_continue: bool = option(
        False,
        "Whether the continue head's target is gamma instead of 1 while an episode continues, so "
        "that its prediction includes the discount.",
        v2=True,
    )
    imagined_continues: ImaginedContinues = option(
        "mode",
        "How imagined episodes end. mode: where the continue probability is below a half. "
        "probability: all later steps are weighted by the continue probability.",
        v2="probability",
    )
    free_nats: float = option(
        1.0, "Free bits: L_dyn and L_rep are constant below this KL.", least=0, unit="nats"
    )
    prediction_loss_scale: float = option(1.0, "Weight of L_pred.", least=0)
    dynamics_loss_scale: float = option(0.5, "Weight of L_dyn.", v2=1.0, least=0)
    representation_loss_scale: float = option(0.1, "Weight of L_rep.", least=0)
    train_actor: bool = option(
        True,
        "False freezes the actor. It continues to act, and everything else continues to learn.",
    )
    train_critic: bool = option(
        True, "False freezes critic and slow critic. The actor continues to learn from them."
    )
    freeze_parts: str | None = option(
        None,
        "Networks of the world model that do not learn, separated by commas: encoder, rssm, "
        "decoder, reward, continue, mask.",
    )
    optimizer_type: OptimizerType = option(
        "adam",
        "Adam: one optimizer each for world model, actor and critic. LaProp: one optimizer "
        "for all networks.",
        v2="laprop",
    )
    world_model_lr: LearningRate = option(
        1e-4, "Adam learning rate of the world model.", only_with=_WITH_ADAM, common=True
    )
    actor_lr: LearningRate = option(
        3e-5, "Adam learning rate of the actor.", only_with=_WITH_ADAM, common=True
    )
    critic_lr: LearningRate = option(
        3e-5, "Adam learning rate of the critic.", only_with=_WITH_ADAM, common=True
    )
    world_model_grad_clip_by_global_norm: float = option(
        1000.0, "Maximum global norm of the world model's gradients.", above=0, only_with=_WITH_ADAM
    )
    actor_grad_clip_by_global_norm: float = option(
        100.0, "Maximum global norm of the actor's gradients.", above=0, only_with=_WITH_ADAM
    )
    critic_grad_clip_by_global_norm: float = option(
        100.0, "Maximum global norm of the critic's gradients.", above=0, only_with=_WITH_ADAM
    )
    lr: LearningRate = option(
        4e-5, "LaProp learning rate after warm-up.", only_with=_WITH_LAPROP, common=True
    )
    lr_warmup: int = option(
        1000,
        "Warm-up: updates over which the LaProp learning rate increases from 0.",
        least=0,
        unit="updates",
        only_with=_WITH_LAPROP,
    )
    adaptive_grad_clip: float = option(
        0.3,
        "Adaptive gradient clipping: maximum norm of a gradient relative to its parameter's norm.",
        above=0,
        only_with=_WITH_LAPROP,
    )

    exploration: ExplorationOptions = field(default_factory=ExplorationOptions)

    @classmethod
    def of_variant(cls, variant: Variant, **options: Any) -> "LearningOptions":
        """The defaults of a variant, but for the options that are given."""
        rows = options_of(cls).items()
        return cls(**{name: row.default(variant) for name, row in rows} | options)

    @property
    def continue_label(self) -> float:
        """Label of the continue head where an episode continues."""
        return self.gamma if self.discount_in_continue else 1.0

    @property
    def imagination_gamma(self) -> float:
        """The discount that imagination applies besides the predicted continues."""
        return 1.0 if self.discount_in_continue else self.gamma

    @property
    def learning_rate_options(self) -> dict[str, str]:
        """Name of the option with the learning rate of each optimizer.

        With LaProp, "all" steps world model, actor and critic. The networks of exploration have a
        separate optimizer, so that a run can start with exploration and continue without it.
        """
        curious = self.exploration.use_curiosity
        if self.optimizer_type == "laprop":
            return {"all": "lr"} | ({"exploration": "lr"} if curious else {})
        names = {"world_model": "world_model_lr", "actor": "actor_lr", "critic": "critic_lr"}
        if curious:
            names |= {"ensemble": "world_model_lr", "intrinsic_critic": "critic_lr"}
        return names

    @property
    def learning_rates(self) -> dict[str, LearningRate]:
        """Rate, or schedule, of each optimizer."""
        names = self.learning_rate_options
        return {optimizer: getattr(self, name) for optimizer, name in names.items()}

    @property
    def first_rates(self) -> dict[str, float]:
        """Learning rate of each optimizer at env step 0."""
        return {name: first_rate(rate) for name, rate in self.learning_rates.items()}


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Replay, and when to update."""

    training_ratio: float = option(
        1024.0,
        "Records trained on per sampled record. 1024 with batches of 16 x 64 is one update per "
        "record.",
        above=0,
        common=True,
    )
    batch_size_B: int = option(16, "Sequences per batch.", least=1, unit="sequences", common=True)
    batch_length_T: int = option(64, "Records per sequence.", least=2, unit="records", common=True)
    num_steps_sampled_before_learning_starts: int = option(
        1024,
        "Positions at which a sequence can start that replay must hold before the first update: "
        "its records, minus one sequence per environment.",
        least=0,
        unit="records",
        common=True,
    )
    replay_context: Literal[0, 1] = option(
        0,
        "Context records before each sequence; training starts from their stored latents.",
        v2=1,
        unit="records",
    )
    online_queue: bool = option(
        False,
        "Whether every new record is trained on once before batches are filled with drawn "
        "sequences.",
        v2=True,
    )
    random_prefill: bool = option(
        True,
        "Whether actions are uniformly random until updates begin, instead of those of the "
        "untrained policy.",
        v2=False,
    )
    replay_buffer_config: dict[str, Any] = option({}, "Options of the replay buffer.")


@dataclass(frozen=True, kw_only=True)
class ReplayBufferOptions:
    """Keys of ``replay_buffer_config``; the limit that is reached first applies."""

    type: Literal["EpisodeReplayBuffer"] = option(
        "EpisodeReplayBuffer", "The only buffer. It samples sequences of records."
    )
    capacity: int = option(
        1_000_000, "Maximum number of records.", v2=5_000_000, least=1, unit="records", common=True
    )
    capacity_bytes: int | None = option(
        None,
        "Maximum size in bytes. 'auto': half of the machine's memory. None: no limit if capacity "
        "is set, else 'auto'.",
        least=1,
        unit="bytes",
        also=("auto",),
        common=True,
    )
    sampling: ReplaySampling = option(
        "uniform",
        "How sequences are drawn. uniform: all are equally likely. curious: those that were seldom "
        "trained on or have a high model loss are more likely (Curious Replay). recent: new ones "
        "are more likely. recorded: only from the data of input_. sampled: only from what the run "
        "has sampled. Fractions, such as {'uniform': 0.5, 'curious': 0.5}, sum to 1.",
    )
    storage: Literal["memory", "disk"] = option(
        "memory", "Where images and latents are stored: memory, or files on disk.", common=True
    )
    directory: str | None = option(
        None, "Directory of the files if storage is disk. None: the run's directory."
    )


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """Observations."""

    clip_observations: bool = option(
        False,
        "Whether observations are clipped to the bounds of their Box. Those outside are counted "
        "in any case.",
    )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Sampling."""

    sampling: Sampling = option(
        "synchronous",
        "synchronous: env runners and updates take turns, and a run depends only on its seed. "
        "asynchronous: env runners continue while updates run.",
    )
    max_records_ahead: int | None = option(
        "auto",
        "Env runners pause once they are this many records ahead of the next update; records in "
        "flight count. auto: twice the records of all requests in flight. None: they never pause, "
        "and at most 1000 updates are postponed.",
        least=1,
        unit="records",
        also=("auto",),
    )
    broadcast_interval: int = option(
        1,
        "Updates after which env runners get new weights.",
        least=1,
        unit="updates",
        only_with=("sampling", "asynchronous"),
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Evaluation."""

    evaluation_action: EvaluationAction = option(
        "sample",
        "Action with explore=False: sampled, as in training and in the published scores, or the "
        "mode of the distribution.",
    )


@dataclass(frozen=True, kw_only=True)
class ReportingOptions:
    """Reports."""

    report_images_and_videos: bool = option(
        False,
        "Writes dreams of six sequences to the trial's directory every report_frequency updates. "
        "Images: a video dreams/<update>.mp4 and a film strip reports/open_loop_<update>.png. "
        "Vectors and classes: plots dreams/<update>.png. The results hold their paths as "
        "reports/dream_video, reports/open_loop_image and reports/dream_plot.",
    )
    report_dream_data: bool = option(
        False,
        "Reports the means of predicted reward, continue probability, value and lambda-return per "
        "imagined step, every report_frequency updates: DREAM_DATA_*_per_step beside the losses.",
    )
    report_individual_batch_item_stats: bool = option(
        False,
        "Reports the losses of each record [B, T] of an iteration's last update: "
        "WORLD_MODEL_L_*_B_T beside the losses.",
    )
    report_frequency: int = option(
        1000, "Updates between two of these reports.", least=1, unit="updates"
    )


@dataclass(frozen=True, kw_only=True)
class CheckpointingOptions:
    """Checkpoints."""

    exact_resume: bool = option(
        False,
        "Whether saving ends all running episodes, also in the run that continues, so that a "
        "resumed run is bit-for-bit equal to it.",
    )
    start_checkpoint: str | None = option(
        None,
        "Checkpoint that a new run starts from: networks, optimizers, replay and counters. "
        "RLlib's parts of it are unpickled, which can execute code. Of a shared policy "
        "(`pretrained:NAME`, `hf://owner/name`) only the networks are read.",
    )
    start_parts: str | None = option(
        None,
        "Networks to take from start_checkpoint as far as their shapes fit, separated by commas: "
        "encoder, rssm, decoder, reward, continue, mask, actor, critic, ensemble, "
        "intrinsic_critic. Nothing else of it is read, or unpickled. None: all of the checkpoint, "
        "which must fit.",
    )


@dataclass(frozen=True, kw_only=True)
class FaultToleranceOptions:
    """Faults."""

    on_divergence: OnDivergence = option(
        "stop",
        "What to do after an update that is not finite: stop; ignore it and continue; or rewind "
        "to the last good checkpoint and sample other batches, at most three times. Each is "
        "recorded in diverged/ in the run's directory.",
    )


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Recorded data."""

    pretrain_updates: int | None = option(
        None,
        "Updates from the recorded data of input_ before sampling begins. None: sampling never "
        "begins; the environment, if there is one, is only used for evaluation.",
        least=1,
        unit="updates",
    )
    skip_damaged_data: bool = option(
        False,
        "Whether recorded episodes that cannot be read, or do not fit the environment, are logged "
        "and skipped. Otherwise they are an error.",
    )


TRAINING_GROUPS = (
    SizeOptions,
    NetworkOptions,
    LearningOptions,
    ExplorationOptions,
    ReplayOptions,
)
"""The options of ``.training()``."""

TRAINING = options_of(*TRAINING_GROUPS)
REPLAY_BUFFER = options_of(ReplayBufferOptions)
ENVIRONMENT = options_of(EnvironmentOptions)
SAMPLING = options_of(SamplingOptions)
EVALUATION = options_of(EvaluationOptions)
REPORTING = options_of(ReportingOptions)
CHECKPOINTING = options_of(CheckpointingOptions)
FAULT_TOLERANCE = options_of(FaultToleranceOptions)
DATA = options_of(DataOptions)

OPTIONS = {
    **TRAINING,
    **ENVIRONMENT,
    **SAMPLING,
    **EVALUATION,
    **REPORTING,
    **CHECKPOINTING,
    **FAULT_TOLERANCE,
    **DATA,
}
"""Name -> option, of all that the config adds to RLlib's own."""
