"""Everything that decides an update, besides the networks. Plain values, no Ray, no TensorFlow."""

from dataclasses import dataclass, field
from typing import Literal

from rllib_dreamerv3.options.variants import ImaginedContinues, OptimizerType, TwoHotBins

ActorGrad = Literal["auto", "reinforce", "dynamics"]


@dataclass(frozen=True)
class WorldModelScales:
    """Weights of the world model's losses (arXiv 2301.04104v1, eq. 4).

    Attributes:
        prediction: Weight of L_pred.
        dynamics: Weight of L_dyn.
        representation: Weight of L_rep.
        free_nats: KL below which L_dyn and L_rep stay constant.
    """

    prediction: float = 1.0
    dynamics: float = 0.5
    representation: float = 0.1
    free_nats: float = 1.0


@dataclass(frozen=True)
class AdamSettings:
    """One of the three optimizers of the 2023 code.

    Attributes:
        learning_rate: Step size.
        epsilon: Added to the bias-corrected root of the second moment.
        clip: Largest global norm of the gradients.
    """

    learning_rate: float
    epsilon: float
    clip: float


@dataclass(frozen=True)
class LaPropSettings:
    """The one optimizer of the 2025 code.

    Attributes:
        learning_rate: Step size after the warm-up.
        clip_share: Largest norm of a gradient, as a share of the norm of its parameter.
        warmup: Updates over which the step size grows from 0.
    """

    learning_rate: float = 4e-5
    clip_share: float = 0.3
    warmup: int = 1000


@dataclass(frozen=True)
class TrainerSettings:
    """What the trainer needs to know. The defaults are those of v1.

    Attributes:
        horizon: H, imagined steps.
        gamma: Discount for one step.
        gae_lambda: lambda of the lambda-return.
        entropy_scale: Weight of the actor's entropy bonus.
        actor_grad: ``"reinforce"``, ``"dynamics"``, or ``"auto"``: dynamics if all actions are
            continuous (2023 code).
        return_decay: Decay of the return normaliser's percentiles.
        slow_critic_decay: Decay of the slow critic.
        slow_critic_scale: Weight of the slow critic as a regulariser.
        two_hot_bins: Where the bins of reward head and critic lie.
        discount_in_continue: Whether the continue head learns gamma where an episode goes on, so
            that its prediction is the discount as well.
        imagined_continues: Hard decision of the continue head (and the record's own flag in the
            first state), or its probability.
        replay_critic_scale: Weight of the critic's loss on replayed records; 0 for none.
        replay_context: Records before each row whose stored latents it starts from, 0 or 1.
        world_model_scales: Weights of the world model's losses.
        optimizer_type: Three Adams, or one LaProp over all networks.
        world_model: Its Adam.
        actor: Its Adam.
        critic: Its Adam.
        laprop: The one LaProp.
    """

    horizon: int = 15
    gamma: float = 1.0 - 1.0 / 333.0
    gae_lambda: float = 0.95
    entropy_scale: float = 3e-4
    actor_grad: ActorGrad = "auto"
    return_decay: float = 0.99
    slow_critic_decay: float = 0.98
    slow_critic_scale: float = 1.0
    two_hot_bins: TwoHotBins = "symlog"
    discount_in_continue: bool = False
    imagined_continues: ImaginedContinues = "mode"
    replay_critic_scale: float = 0.0
    replay_context: int = 0
    world_model_scales: WorldModelScales = field(default_factory=WorldModelScales)
    optimizer_type: OptimizerType = "adam"
    world_model: AdamSettings = AdamSettings(1e-4, 1e-8, 1000.0)
    actor: AdamSettings = AdamSettings(3e-5, 1e-5, 100.0)
    critic: AdamSettings = AdamSettings(3e-5, 1e-5, 100.0)
    laprop: LaPropSettings = LaPropSettings()

    @property
    def continue_label(self) -> float:
        """What the continue head learns where an episode goes on."""
        return self.gamma if self.discount_in_continue else 1.0

    @property
    def imagination_gamma(self) -> float:
        """The discount that imagination applies besides the predicted continues."""
        return 1.0 if self.discount_in_continue else self.gamma
