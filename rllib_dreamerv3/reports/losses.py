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
        "What the world model minimizes: falls fast at first, then slowly; it may rise a little "
        "when the policy reaches something new, and should not grow for long.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_decoder",
        "Decoder",
        "How badly observations are reconstructed: falls all the time; for images it is a sum over "
        "all pixels and stays well above 0, for vectors it comes close.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_reward",
        "Reward",
        "How badly rewards are predicted: starts at 5.5, the logarithm of the number of bins, and "
        "falls; where rewards are rare it is near 0 and jumps when one comes.",
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
        "How badly the end of episodes is predicted: starts at 0.7 and falls below 0.1 where ends "
        "can be seen coming; it is close to 0 where episodes only end by time.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_dynamics",
        "Dynamics",
        "How far the prediction of the next state is from what is seen then, but at least 1 nat, "
        "which is free: values at 1 mean that the future can be predicted, or that states tell "
        "nothing.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_KL",
        "KL, without free nats",
        "The same distance as it is: between 0.1 and some tens of nats; near 0 the states do not "
        "tell observations apart.",
        "nats",
    ),
    Measure(
        f"{_LEARNER}/CRITIC_L_total",
        "Critic",
        "How badly returns in imagination are predicted: follows what the policy does, so that it "
        "rises when returns begin to vary; it need not fall.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_L_total",
        "Actor",
        "Advantages weighted by log-probabilities, less the entropy bonus: around 0, of either "
        "sign; it says little about progress.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_action_entropy",
        "Entropy of actions",
        "How undecided the actor is: starts near that of uniform actions (of n discrete ones, "
        "log n) and falls as it learns; at the start's level for long it learns nothing, near 0 it "
        "no longer explores.",
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
        "Mean of the discounted returns that the critic is trained on: rises with the real "
        "returns; above what real episodes can give, the critic runs away.",
        "return",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_gradients_global_norm",
        "Norm of the world model's gradients",
        "Before clipping: large at first, then steady; growing for long it announces divergence.",
        "norm",
    ),
)

# Drawn as growth per second.
SPEED = (
    Measure(
        ENV_STEPS,
        "Env steps a second",
        "How fast the environment is played, with the updates between.",
        "1/s",
    ),
    Measure(
        UPDATES,
        "Updates a second",
        "How fast the networks learn, with the sampling between.",
        "1/s",
    ),
)

MEMORY = (
    Measure(
        "actual_training_ratio",
        "Training ratio",
        "Records trained on for each sampled one: near training_ratio once updates have begun.",
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
        "Size of the replay buffer: grows until it is at capacity.",
        "MB",
    ),
    Measure(
        "perf/ram_util_percent",
        "Memory of the machine in use",
        "By all programs together: near 100 the system begins to end programs.",
        "%",
    ),
    Measure(
        "perf/cpu_util_percent",
        "CPUs in use",
        "By all programs together.",
        "%",
    ),
)
