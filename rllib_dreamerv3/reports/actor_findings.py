"""Rules about the actor."""

import statistics

from rllib_dreamerv3.reports.finding import (
    FEW_PREDICTED,
    LATE,
    LEARNER,
    Finding,
    has_improved,
    late_median,
    learning_rate,
    option,
    share_predicted,
)
from rllib_dreamerv3.reports.history import UPDATES, History

# Mixing in 1 % of uniform choices leaves 0.03 nats of the 0.69 that two choices can have.
_COLLAPSED = 0.07
# Drift (range 0 to 1) of the mean action from which a policy counts as drifting.
_DRIFT = 0.25


def actor_uniform(history: History) -> Finding | None:
    """The entropy has risen although imagined returns vary."""
    entropy = history.values(f"{LEARNER}/ACTOR_action_entropy")
    high = late_median(history, "ACTOR_value_targets_pct95_ema")
    low = late_median(history, "ACTOR_value_targets_pct5_ema")
    if not entropy or high is None or low is None or has_improved(history):
        return None
    # If returns hardly vary, nothing outweighs the entropy bonus yet.
    if high - low < 1.0 or not 0 < 1.05 * entropy[0] < max(entropy):
        return None
    now = statistics.median(history.values(f"{LEARNER}/ACTOR_action_entropy", LATE))
    if now < 0.98 * max(entropy):
        return None
    return Finding(
        "Actor uniform",
        f"Its entropy rose from {entropy[0]:.3g} to {now:.3g} in {history.latest(UPDATES):,.0f} "
        f"updates, while imagined returns vary by {high - low:.3g} and real ones have not risen.",
        f"Lower entropy_scale (now {option(history, 'entropy_scale'):g}).",
    )


def actor_collapsed(history: History) -> Finding | None:
    """The entropy is near 0 although returns have not risen."""
    entropy = history.values(f"{LEARNER}/ACTOR_action_entropy")
    # The entropy of continuous actions is differential and may be 0 or negative.
    if history.values(f"{LEARNER}/ACTOR_action_bias") or has_improved(history):
        return None
    if not entropy or max(entropy) <= 0:
        return None
    now = statistics.median(history.values(f"{LEARNER}/ACTOR_action_entropy", LATE))
    if not 0 <= now <= _COLLAPSED * max(entropy):
        return None
    return Finding(
        "Actor collapsed",
        f"Its entropy fell from {max(entropy):.3g} to {now:.3g}, and returns have not risen.",
        f"Raise entropy_scale (now {option(history, 'entropy_scale'):g}), or lower "
        f"{learning_rate(history, 'actor')}.",
    )


def actor_drifts(history: History) -> Finding | None:
    """Mean actions drift although rewards are not predicted."""
    bias = history.values(f"{LEARNER}/ACTOR_action_bias")
    share = share_predicted(history)
    if not bias or share is None or share >= FEW_PREDICTED or has_improved(history):
        return None
    now = statistics.median(history.values(f"{LEARNER}/ACTOR_action_bias", LATE))
    if now < bias[0] + _DRIFT:
        return None
    return Finding(
        "Actor drifts",
        f"The mean of an action moved from {bias[0]:.2f} to {now:.2f} (range 0 to 1), while "
        "rewards are not predicted and returns have not risen: its advantages are noise.",
        f"Fix reward prediction first: raise {learning_rate(history, 'world_model')}.",
    )
