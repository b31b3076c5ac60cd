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
        "Total loss of the world model: falls fast at first, then slowly; it may rise a little "
        "when the policy reaches something new, and should not grow for long.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_decoder",
        "Decoder",
        "Reconstruction loss of observations: falls throughout; for images it is a sum over all "
        "pixels and stays well above 0, for vectors it approaches 0.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_reward",
        "Reward",
        "Prediction loss of rewards: starts at 5.5, the logarithm of the number of bins, and "
        "falls; with rare rewards it is near 0 and jumps at each one.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_continue",
        "Continue",
        "Prediction loss of the end of episodes: starts at 0.7 and falls below 0.1 if ends are "
        "predictable; it is close to 0 if episodes only end by a time limit.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_dynamics",
        "Dynamics",
        "KL divergence between posterior and prior, but at least 1 nat (free nats): values at 1 "
        "mean that the next state is predictable, or that states carry no information.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_KL",
        "KL, without free nats",
        "The KL divergence itself: between 0.1 and some tens of nats; near 0 the states do not "
        "distinguish observations.",
        "nats",
    ),
    Measure(
        f"{_LEARNER}/CRITIC_L_total",
        "Critic",
        "Prediction loss of returns in imagination: depends on the policy, and rises when returns "
        "begin to vary; it need not fall.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_L_total",
        "Actor",
        "Advantages weighted by log-probabilities, minus the entropy bonus: around 0, of either "
        "sign; it says little about progress.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_action_entropy",
        "Entropy of actions",
        "Randomness of the policy: starts near that of uniform actions (log n for n discrete "
        "ones) and falls as the actor learns; if it stays at that level, the actor learns nothing, "
        "near 0 it no longer explores.",
        "nats",
    ),
    Measure(
        f"{_LEARNER}/DREAM_DATA_returns_mean",
        "Returns in imagination",
        "Mean of the discounted returns that the critic is trained on: rises with the real "
        "returns; above the greatest possible return, the critic diverges.",
        "return",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_gradients_global_norm",
        "Norm of the world model's gradients",
        "Before clipping: large at first, then steady; steady growth precedes divergence.",
        "norm",
    ),
)

# Drawn as growth per second.
SPEED = (
    Measure(
        ENV_STEPS,
        "Env steps per second",
        "Speed of sampling, including the time of updates.",
        "1/s",
    ),
    Measure(
        UPDATES,
        "Updates per second",
        "Speed of learning, including the time of sampling.",
        "1/s",
    ),
)

MEMORY = (
    Measure(
        "actual_training_ratio",
        "Training ratio",
        "Records trained on per sampled record: near training_ratio once updates have begun.",
        "records",
    ),
    Measure(
        "replay_buffer/num_bytes",
        "Replay",
        "Size of the replay buffer: grows up to its capacity.",
        "MB",
    ),
    Measure(
        "perf/ram_util_percent",
        "Memory of the machine in use",
        "By all processes: near 100 the system begins to kill processes.",
        "%",
    ),
    Measure(
        "perf/cpu_util_percent",
        "CPUs in use",
        "By all processes.",
        "%",
    ),
)
