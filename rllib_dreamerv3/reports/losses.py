"""Explanations of the learner's metrics, for the report page."""

from dataclasses import dataclass

from rllib_dreamerv3.reports.history import ENV_STEPS, UPDATES

_LEARNER = "learners/default_policy"


@dataclass(frozen=True)
class Measure:
    """One metric of a run's results.

    Attributes:
        key: Key in results.
        title: Title of the chart.
        sentence: Meaning, and normal values.
        unit: Unit; empty for losses, in nats summed over all predicted values.
    """

    key: str
    title: str
    sentence: str
    unit: str = ""


LOSSES = (
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_total",
        "World model, total",
        "Total loss of the world model. It falls fast at first, then slowly. It may rise a little "
        "when the policy reaches new states, but should not grow for long.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_decoder",
        "Decoder",
        "Reconstruction error of observations. It falls throughout. For images it is a sum over "
        "all pixels and stays well above 0; for vectors it approaches 0.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_reward",
        "Reward",
        "Prediction error of rewards. It starts at 5.5, the logarithm of the number of bins, and "
        "falls. If rewards are rare, it is near 0 with peaks.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_reward_signal",
        "Unusual rewards",
        "Mean distance of a batch's rewards from their median, first records left out: how much "
        "there is to predict; 0 where every reward is the same.",
        "reward",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_reward_signal_predicted",
        "Unusual rewards, predicted",
        "How much of that distance the reward head predicts at the same records: starts at 0 and "
        "comes close to the value above; where it stays near 0, the policy learns from noise, "
        "however low the loss is.",
        "reward",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_continue",
        "Continue",
        "Prediction error of episode ends. It starts at 0.7 and falls below 0.1 if ends are "
        "predictable. It is close to 0 if episodes only end by truncation.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_dynamics",
        "Dynamics",
        "KL between posterior and prior, at least 1 nat (free bits). A value of 1 means that "
        "the future is predictable, or that states carry no information.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_KL",
        "KL, without free nats",
        "The same KL without free bits. Normal values are 0.1 to some tens of nats; near 0 the "
        "states do not distinguish observations.",
        "nats",
    ),
    Measure(
        f"{_LEARNER}/CRITIC_L_total",
        "Critic",
        "Prediction error of imagined returns. It depends on the policy, so it rises when returns "
        "begin to vary, and need not fall.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_L_total",
        "Actor",
        "Advantages weighted by log-probabilities, minus the entropy bonus. It is near 0, of "
        "either sign, and says little about progress.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_action_entropy",
        "Entropy of actions",
        "Entropy of the policy. It starts near that of uniform actions (log n for n discrete "
        "ones) and falls as the actor learns. If it stays at that level for long, the actor "
        "learns nothing; near 0 it no longer explores.",
        "nats",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_action_bias",
        "Bias of actions",
        "Of continuous actions the largest absolute mean over all imagined states, between 0 and "
        "1: how far the policy leans to one side whatever it sees. Tasks may ask for it; rising "
        "while returns do not, it is drift.",
        "of 1",
    ),
    Measure(
        f"{_LEARNER}/DREAM_DATA_returns_mean",
        "Returns in imagination",
        "Mean of the discounted returns that the critic is trained on. It rises with the real "
        "returns. If it exceeds what real episodes can return, the critic diverges.",
        "return",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_gradients_global_norm",
        "Norm of the world model's gradients",
        "Global norm before clipping. It is large at first, then steady. Growth over a long time "
        "indicates divergence.",
        "norm",
    ),
)

# Drawn as growth per second.
SPEED = (
    Measure(
        ENV_STEPS,
        "Env steps a second",
        "Speed of sampling, including the updates in between.",
        "1/s",
    ),
    Measure(
        UPDATES,
        "Updates a second",
        "Speed of updates, including the sampling in between.",
        "1/s",
    ),
)

MEMORY = (
    Measure(
        "actual_training_ratio",
        "Training ratio",
        "Records trained on per sampled record. It is near training_ratio once updates have begun.",
        "records",
    ),
    Measure(
        "replay_buffer/reward_min",
        "Least reward",
        "The least reward ever recorded, also of records that replay has forgotten.",
        "reward",
    ),
    Measure(
        "replay_buffer/reward_max",
        "Greatest reward",
        "The greatest reward ever recorded.",
        "reward",
    ),
    Measure(
        "replay_buffer/num_bytes",
        "Replay",
        "Size of the replay buffer. It grows up to its capacity.",
        "MB",
    ),
    Measure(
        "perf/ram_util_percent",
        "Memory of the machine in use",
        "Of all processes together. Near 100 the system starts to kill processes.",
        "%",
    ),
    Measure(
        "perf/cpu_util_percent",
        "CPUs in use",
        "Of all processes together.",
        "%",
    ),
)
