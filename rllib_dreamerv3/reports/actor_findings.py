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
# So far, of 1, the mean of a continuous action moves in a policy that explores nothing else.
_DRIFT = 0.25


def actor_uniform(history: History) -> Finding | None:
    """The entropy has risen, though returns differ."""
    entropy = history.values(f"{LEARNER}/ACTOR_action_entropy")
    high = late_median(history, "ACTOR_value_targets_pct95_ema")
    low = late_median(history, "ACTOR_value_targets_pct5_ema")
    if not entropy or high is None or low is None or has_improved(history):
        return None
    # Where returns hardly differ, there is nothing yet that could outweigh the entropy.
    if high - low < 1.0 or not 0 < 1.05 * entropy[0] < max(entropy):
        return None
    now = statistics.median(history.values(f"{LEARNER}/ACTOR_action_entropy", LATE))
    if now < 0.98 * max(entropy):
        return None
    return Finding(
        "Actor uniform",
        f"In {history.latest(UPDATES):,.0f} updates its entropy has risen from {entropy[0]:.3g} to "
        f"{now:.3g}, while returns differ by {high - low:.3g} and have not risen.",
        f"Lower entropy_scale (now {option(history, 'entropy_scale'):g}).",
    )


def actor_collapsed(history: History) -> Finding | None:
    """The entropy is near 0, though nothing was learned."""
    entropy = history.values(f"{LEARNER}/ACTOR_action_entropy")
    # That of continuous actions passes through 0 on its way.
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
        f"Raise entropy_scale (now {option(history, 'entropy_scale'):g}), or lower actor_lr.",
    )


def actor_drifts(history: History) -> Finding | None:
    """Continuous actions lean ever more to one side, though there is nothing to learn that from."""
    bias = history.values(f"{LEARNER}/ACTOR_action_bias")
    share = share_predicted(history)
    if not bias or share is None or share >= FEW_PREDICTED or has_improved(history):
        return None
    now = statistics.median(history.values(f"{LEARNER}/ACTOR_action_bias", LATE))
    if now < bias[0] + _DRIFT:
        return None
    return Finding(
        "Actor drifts",
        f"The mean of an action has moved from {bias[0]:.2f} to {now:.2f} of its range, while "
        "rewards are not predicted and returns have not risen: its advantages are noise.",
        f"See to the rewards first: raise {learning_rate(history, 'world_model')}.",
    )
