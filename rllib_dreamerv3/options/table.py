"""The table of options: everything users can set, a row for each.

A row is a field of one of the groups below: its name, its type or choices, the default of v1 (and
of v2, where the two published versions differ), range, unit, and a sentence. From it follow the
defaults and checks of the config, the documentation of its methods, `docs/options.md`, and what
networks and trainer are told. A new option is a new row, and the place that uses it.

``v1`` is arXiv 2301.04104v1 with the authors' code of 2023, ``v2`` the revision in Nature (2025)
with their code of 2025. Nothing else in the package knows of variants.
"""

from dataclasses import dataclass
from typing import Any, Literal

from rllib_dreamerv3.options.learning_rate import LearningRate, first_rate
from rllib_dreamerv3.options.option import option, options_of

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
VectorMlp = Literal["scaled", "authors"]
EvaluationAction = Literal["sample", "mode"]
OnDivergence = Literal["stop", "ignore", "rewind"]
Sampling = Literal["synchronous", "asynchronous"]

_WITH_ADAM = ("optimizer_type", "adam")
_WITH_LAPROP = ("optimizer_type", "laprop")


@dataclass(frozen=True, kw_only=True)
class SizeOptions:
    """Size of the networks."""

    model_size: str = option(
        "XS",
        "Numbers of units and layers: nano, micro, mini, XXS, XS, S, M, L, XL of v1; 1M, 12M, "
        "25M, 50M, 100M, 200M, 400M of v2.",
        common=True,
    )
    variant: Variant | None = option(
        None,
        "The published version whose defaults count: 2023 or 2025; None for the one that the "
        "model size belongs to.",
        common=True,
    )
    vector_mlp: VectorMlp = option(
        "scaled",
        "Width of the MLPs for vector observations: as the rest of the model size, or the "
        "authors' 5 x 1024 (2023 code) at every size.",
    )
    image_size: int | None = option(
        None,
        "Side to which images are resized; None for 64 if the CNN cannot take them as they are.",
        least=1,
        unit="pixels",
        common=True,
    )


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Kinds of layers."""

    sequence_model: SequenceModel = option(
        "gru",
        "A GRU with one layer norm over all gates, or one with 8 diagonal blocks.",
        v2="block_gru",
    )
    norm: Norm = option(
        "layer", "Norm of all other layers: layer norm, or root mean square.", v2="rms"
    )
    hidden_bias: bool = option(False, "Whether layers before a norm have a bias.", v2=True)
    weight_init: WeightInit = option(
        "fan_avg",
        "Variance of initial weights: by the mean of inputs and outputs, or by inputs.",
        v2="fan_in",
    )
    actor_output_scale: float = option(
        1.0, "Scale of the actor's initial output weights.", v2=0.01, least=0
    )
    cnn: Cnn = option(
        "strided",
        "4x4 convolutions of stride 2, transposed in the decoder; or 5x5 ones with max-pooling, "
        "upsampling in the decoder and a sigmoid at its end.",
        v2="pooled",
    )
    initial_state: InitialState = option(
        "learned",
        "State before an episode: a learned h with the prior's mode, or zeros.",
        v2="zeros",
    )
    discrete_observations: DiscreteObservations = option(
        "vector",
        "Discrete observations as one-hot numbers with a squared error, or as classes with a "
        "cross-entropy.",
        v2="categorical",
    )
    compute_dtype: ComputeDtype = option(
        "float32",
        "Of large products and convolutions; parameters, losses and optimizers are float32.",
        common=True,
    )
    unimix: float = option(
        0.01,
        "Share of the uniform distribution in prior and posterior.",
        least=0,
        most=1,
    )
    actor_unimix: float = option(
        0.01,
        "Share of the uniform distribution in discrete actions, as both papers have it; the 2025 "
        "code sets the same share and does not apply it, which is 0.",
        least=0,
        most=1,
    )
    symlog_obs: Literal["auto", True, False] = option(
        "auto", "Whether vector observations pass through symlog; auto means true."
    )


@dataclass(frozen=True, kw_only=True)
class LearningOptions:
    """Losses and optimizers."""

    horizon_H: int = option(15, "Steps to imagine.", least=1, unit="steps", common=True)
    gamma: float = option(1.0 - 1.0 / 333.0, "Discount factor.", least=0, most=1, common=True)
    gae_lambda: float = option(0.95, "Lambda of the lambda-return.", least=0, most=1)
    entropy_scale: float = option(
        3e-4, "Weight of the actor's entropy bonus.", least=0, common=True
    )
    actor_grad: ActorGrad = option(
        "auto",
        "Gradient of the actor: reinforce; dynamics, through the world model, for continuous "
        "actions only; or auto, which is dynamics if all actions are continuous.",
        v2="reinforce",
    )
    return_normalization_decay: float = option(
        0.99, "Decay of the percentiles of returns, for each update.", least=0, most=1
    )
    slow_critic_decay: float = option(
        0.98, "Decay of the slow critic, for each update.", least=0, most=1
    )
    first_update_copies_critic: bool = option(
        True,
        "Whether the slow critic is a copy of the critic after the first update, and only then "
        "begins to follow it slowly.",
        v2=False,
    )
    slow_critic_scale: float = option(
        1.0, "Weight of the slow critic as a regulariser of the critic.", least=0
    )
    replay_critic_scale: float = option(
        0.0, "Weight of the critic's loss on replayed records.", v2=0.3, least=0
    )
    two_hot_bins: TwoHotBins = option(
        "symlog",
        "Bins of reward head and critic: even for the symlog of a number, or exponentially "
        "spaced for the number itself.",
        v2="symexp",
    )
    discount_in_continue: bool = option(
        False,
        "Whether the continue head learns gamma where an episode goes on, so that its prediction "
        "is the discount as well.",
        v2=True,
    )
    imagined_continues: ImaginedContinues = option(
        "mode",
        "An imagined episode ends where the continue head finds that likelier than not; or its "
        "probability weighs all that follows.",
        v2="probability",
    )
    free_nats: float = option(
        1.0, "KL below which L_dyn and L_rep stay constant.", least=0, unit="nats"
    )
    prediction_loss_scale: float = option(1.0, "Weight of L_pred.", least=0)
    dynamics_loss_scale: float = option(0.5, "Weight of L_dyn.", v2=1.0, least=0)
    representation_loss_scale: float = option(0.1, "Weight of L_rep.", least=0)
    train_actor: bool = option(
        True, "False freezes the actor: it acts as it is, and all else goes on learning."
    )
    train_critic: bool = option(
        True, "False freezes critic and slow critic: the actor learns from them as they are."
    )
    optimizer_type: OptimizerType = option(
        "adam", "Three Adams, or one LaProp for all networks.", v2="laprop"
    )
    world_model_lr: LearningRate = option(
        1e-4, "Learning rate of the world model's Adam.", only_with=_WITH_ADAM, common=True
    )
    actor_lr: LearningRate = option(
        3e-5, "Learning rate of the actor's Adam.", only_with=_WITH_ADAM, common=True
    )
    critic_lr: LearningRate = option(
        3e-5, "Learning rate of the critic's Adam.", only_with=_WITH_ADAM, common=True
    )
    world_model_grad_clip_by_global_norm: float = option(
        1000.0, "Largest norm of the world model's gradient.", above=0, only_with=_WITH_ADAM
    )
    actor_grad_clip_by_global_norm: float = option(
        100.0, "Largest norm of the actor's gradient.", above=0, only_with=_WITH_ADAM
    )
    critic_grad_clip_by_global_norm: float = option(
        100.0, "Largest norm of the critic's gradient.", above=0, only_with=_WITH_ADAM
    )
    lr: LearningRate = option(
        4e-5, "Learning rate of LaProp, after its warm-up.", only_with=_WITH_LAPROP, common=True
    )
    lr_warmup: int = option(
        1000,
        "Updates over which the learning rate of LaProp grows from 0.",
        least=0,
        unit="updates",
        only_with=_WITH_LAPROP,
    )
    adaptive_grad_clip: float = option(
        0.3,
        "Largest norm of a gradient, as a share of its parameter's norm.",
        above=0,
        only_with=_WITH_LAPROP,
    )

    @classmethod
    def of_variant(cls, variant: Variant, **options: Any) -> "LearningOptions":
        """The defaults of a variant, but for the options that are given."""
        rows = options_of(cls).items()
        return cls(**{name: row.default(variant) for name, row in rows} | options)

    @property
    def continue_label(self) -> float:
        """What the continue head learns where an episode goes on."""
        return self.gamma if self.discount_in_continue else 1.0

    @property
    def imagination_gamma(self) -> float:
        """The discount that imagination applies besides the predicted continues."""
        return 1.0 if self.discount_in_continue else self.gamma

    @property
    def learning_rates(self) -> dict[str, LearningRate]:
        """Rate, or schedule, of each optimizer; "all" where one steps all networks."""
        if self.optimizer_type == "laprop":
            return {"all": self.lr}
        return {
            "world_model": self.world_model_lr,
            "actor": self.actor_lr,
            "critic": self.critic_lr,
        }

    @property
    def first_rates(self) -> dict[str, float]:
        """Learning rate of each optimizer at env step 0."""
        return {name: first_rate(rate) for name, rate in self.learning_rates.items()}


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Replay, and when to update."""

    training_ratio: float = option(
        1024.0,
        "Trained records for each sampled one; 1024 with batches of 16 x 64 is one update for "
        "each record.",
        above=0,
        common=True,
    )
    batch_size_B: int = option(16, "Sequences in a batch.", least=1, unit="sequences", common=True)
    batch_length_T: int = option(64, "Records in a sequence.", least=2, unit="records", common=True)
    num_steps_sampled_before_learning_starts: int = option(
        1024,
        "Starts of sequences that replay must hold before the first update: records, less one "
        "sequence for each environment.",
        least=0,
        unit="records",
        common=True,
    )
    replay_context: Literal[0, 1] = option(
        0, "Records before a sequence, whose stored latents it starts from.", v2=1, unit="records"
    )
    online_queue: bool = option(
        False, "Whether each new record is trained on once before any are drawn.", v2=True
    )
    random_prefill: bool = option(
        True, "Whether actions are random, and not the policy's, until updates begin.", v2=False
    )
    replay_buffer_config: dict[str, Any] = option({}, "The buffer's own options.")


@dataclass(frozen=True, kw_only=True)
class ReplayBufferOptions:
    """Keys of ``replay_buffer_config``; the limit that is reached first counts."""

    type: Literal["EpisodeReplayBuffer"] = option(
        "EpisodeReplayBuffer", "The only buffer there is: it replays sequences of records."
    )
    capacity: int = option(
        1_000_000, "Most records to hold.", v2=5_000_000, least=1, unit="records", common=True
    )
    capacity_bytes: int | None = option(
        None, "Most bytes to hold; None for no such limit.", least=1, unit="bytes", common=True
    )
    storage: Literal["memory", "disk"] = option(
        "memory", "Whether images and latents are kept in memory or in files.", common=True
    )
    directory: str | None = option(
        None, "Where the files are if storage is disk; None for the run's directory."
    )


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """Observations."""

    clip_observations: bool = option(
        False,
        "Whether observations that leave the bounds of their Box are clipped to them. They are "
        "counted in any case.",
    )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Sampling."""

    sampling: Sampling = option(
        "synchronous",
        "Whether env runners and updates take turns, so that a run depends on its seed alone; or "
        "env runners go on while updates run.",
    )
    max_records_ahead: int | None = option(
        "auto",
        "Records that may be sampled or asked for, beyond those for which the next update is due, "
        "before env runners wait; auto is twice what they may be asked for at once. With None they "
        "never wait: updates are as fast as they can, and at most 1000 are left for later.",
        least=1,
        unit="records",
        also=("auto",),
    )
    broadcast_interval: int = option(
        1,
        "Updates after which env runners are asked for nothing any more with the same weights.",
        least=1,
        unit="updates",
        only_with=("sampling", "asynchronous"),
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Evaluation."""

    evaluation_action: EvaluationAction = option(
        "sample",
        "What explore=False stands for: a sample, as in training and in the published scores, or "
        "the likeliest action.",
    )


@dataclass(frozen=True, kw_only=True)
class ReportingOptions:
    """Reports."""

    report_images_and_videos: bool = option(
        False,
        "Dreams of six sequences, every report_frequency updates, in the directory of the trial: "
        "of images a video dreams/<update>.mp4 and a film strip reports/open_loop_<update>.png, of "
        "vectors and classes plots dreams/<update>.png; their paths in the results as "
        "reports/dream_video, reports/open_loop_image and reports/dream_plot.",
    )
    report_dream_data: bool = option(
        False,
        "Means of predicted reward, continue probability, value and lambda-return for each "
        "imagined step, every report_frequency updates: DREAM_DATA_*_per_step beside the losses.",
    )
    report_individual_batch_item_stats: bool = option(
        False,
        "Losses of each record [B, T] of an iteration's last update, with every result: "
        "WORLD_MODEL_L_*_B_T beside the losses.",
    )
    report_frequency: int = option(
        1000, "Updates from one of these reports to the next.", least=1, unit="updates"
    )


@dataclass(frozen=True, kw_only=True)
class CheckpointingOptions:
    """Checkpoints."""

    exact_resume: bool = option(
        False,
        "Whether saving ends all running episodes, also in the run that goes on, so that a run "
        "resumed from the checkpoint goes on bit for bit as that one does.",
    )
    start_checkpoint: str | None = option(
        None,
        "Checkpoint whose networks, optimizers, replay and counters a new run begins with; RLlib's "
        "parts of it are unpickled, which can run code.",
    )


@dataclass(frozen=True, kw_only=True)
class FaultToleranceOptions:
    """Faults."""

    on_divergence: OnDivergence = option(
        "stop",
        "After an update that is not finite, which diverged/ in the run's directory then tells "
        "of: stop; ignore it and go on; or rewind to the last good checkpoint and draw other rows "
        "from replay, at most three times.",
    )


TRAINING_GROUPS = (SizeOptions, NetworkOptions, LearningOptions, ReplayOptions)
"""The options of ``.training()``."""

TRAINING = options_of(*TRAINING_GROUPS)
REPLAY_BUFFER = options_of(ReplayBufferOptions)
ENVIRONMENT = options_of(EnvironmentOptions)
SAMPLING = options_of(SamplingOptions)
EVALUATION = options_of(EvaluationOptions)
REPORTING = options_of(ReportingOptions)
CHECKPOINTING = options_of(CheckpointingOptions)
FAULT_TOLERANCE = options_of(FaultToleranceOptions)

OPTIONS = {
    **TRAINING,
    **ENVIRONMENT,
    **SAMPLING,
    **EVALUATION,
    **REPORTING,
    **CHECKPOINTING,
    **FAULT_TOLERANCE,
}
"""Name -> option, of all that the config holds beside RLlib's own."""
