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
        "Total world-model loss. Falls quickly at first, then slowly. It may rise a little when "
        "the policy reaches new states, but should not grow for long.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_decoder",
        "Decoder",
        "Reconstruction error of observations. Falls throughout training: close to 0 for vectors, "
        "well above 0 for images, where it is a sum over all pixels.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_reward",
        "Reward",
        "Cross-entropy of the predicted rewards. Starts at 5.5, the logarithm of the number of "
        "bins, and falls. If rewards are rare, it is near 0 and jumps when one occurs.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_reward_signal",
        "Reward deviation",
        "Mean absolute deviation of a batch's rewards from their median, without first records: "
        "the part of the rewards that must be learned; 0 if all rewards are equal.",
        "reward",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_reward_signal_predicted",
        "Reward deviation, predicted",
        "The part of that deviation that the reward head predicts. Starts at 0 and approaches the "
        "value above. If it stays near 0, the policy learns from noise, however low the reward "
        "loss is.",
        "reward",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_continue",
        "Continue",
        "Cross-entropy of the predicted continues. Starts at 0.7 and falls below 0.1 if "
        "observations show that the end is near; close to 0 if episodes only end by truncation.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_L_dynamics",
        "Dynamics",
        "KL(posterior || prior), clipped at 1 free nat. A value of 1 means predictable dynamics or "
        "uninformative states.",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_KL",
        "KL before clipping",
        "The same KL before clipping: usually between 0.1 and some tens of nats. Near 0, the "
        "states do not distinguish observations.",
        "nats",
    ),
    Measure(
        f"{_LEARNER}/CRITIC_L_total",
        "Critic",
        "Loss of the critic on imagined returns. It follows the policy: it rises when returns "
        "begin to vary, and need not fall.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_L_total",
        "Actor",
        "Log-probabilities weighted by advantages, or with gradients through the dynamics the "
        "returns, minus the entropy bonus. Near 0, of either "
        "sign; it shows little about progress.",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_action_entropy",
        "Policy entropy",
        "Policy entropy. Starts near that of uniform actions (log n for n discrete actions) and "
        "falls; if it stays at its initial level, the actor is not learning. Near 0, it no longer "
        "explores.",
        "nats",
    ),
    Measure(
        f"{_LEARNER}/ACTOR_action_bias",
        "Action bias",
        "Largest absolute mean of a continuous action over all imagined states, from 0 to 1: the "
        "state-independent bias of the mean action. Some tasks need it; if it rises while returns "
        "do not, the policy is drifting.",
        "of 1",
    ),
    Measure(
        f"{_LEARNER}/DREAM_DATA_returns_mean",
        "Imagined returns",
        "Mean discounted return in imagination, the critic's target. Rises with the real returns; "
        "values above any real return mean that the critic diverges.",
        "return",
    ),
    Measure(
        f"{_LEARNER}/ENSEMBLE_L_total",
        "Ensemble",
        "With use_curiosity: squared errors of the one-step models, summed over models and latent "
        "dimensions. Falls, and rises for a while when something new is found.",
    ),
    Measure(
        f"{_LEARNER}/INTRINSIC_CRITIC_rewards_mean",
        "Intrinsic reward",
        "With use_curiosity: mean disagreement of the one-step models about imagined steps. Falls "
        "as they learn. If it stays high while the ensemble's loss is low, the policy has found "
        "what they have not seen yet.",
        "reward",
    ),
    Measure(
        f"{_LEARNER}/INTRINSIC_CRITIC_values_mean",
        "Intrinsic value",
        "With use_curiosity: mean value of the intrinsic critic. Follows the intrinsic reward.",
        "return",
    ),
    Measure(
        f"{_LEARNER}/WORLD_MODEL_gradients_global_norm",
        "World-model gradient norm",
        "Global norm before clipping. Large at first, then steady; steady growth precedes "
        "divergence.",
        "norm",
    ),
)

# Plotted as growth per second.
SPEED = (
    Measure(
        ENV_STEPS,
        "Env steps per second",
        "Environment throughput, including update time.",
        "1/s",
    ),
    Measure(
        UPDATES,
        "Updates per second",
        "Update throughput, including sampling time.",
        "1/s",
    ),
)

MEMORY = (
    Measure(
        "actual_training_ratio",
        "Training ratio",
        "Records trained on per sampled record; close to training_ratio once updates have begun.",
        "records",
    ),
    Measure(
        "replay_buffer/reward_min",
        "Minimum reward",
        "Minimum of all rewards so far, including evicted records.",
        "reward",
    ),
    Measure(
        "replay_buffer/reward_max",
        "Maximum reward",
        "Maximum of all rewards so far, including evicted records.",
        "reward",
    ),
    Measure(
        "replay_buffer/num_records_recorded",
        "Recorded data in replay",
        "Records that were not sampled, but read from recorded data. They leave as new ones come.",
        "records",
    ),
    Measure(
        "replay_buffer/num_bytes",
        "Replay",
        "Size of the replay buffer. Grows up to its capacity.",
        "MB",
    ),
    Measure(
        "perf/ram_util_percent",
        "System memory in use",
        "By all processes. Near 100, the operating system starts to kill processes.",
        "%",
    ),
    Measure(
        "perf/cpu_util_percent",
        "CPU load",
        "By all processes.",
        "%",
    ),
)
