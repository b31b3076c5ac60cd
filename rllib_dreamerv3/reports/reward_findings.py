"""Rules about rewards, returns and values."""

import math
import statistics

from rllib_dreamerv3.reports.finding import (
    FEW_PREDICTED,
    LATE,
    LEARNER,
    LENGTH,
    RETURN,
    Finding,
    greatest_return,
    has_improved,
    late_median,
    learning_rate,
    option,
    share_predicted,
)
from rllib_dreamerv3.reports.history import ENV_STEPS, History

# Values below this share of the greatest reward say nothing.
_SMALL_VALUE = 0.05
# So many of the greatest reward must have been due before their lack says something.
_FEWEST_REWARDS = 5


def tiny_rewards(history: History) -> Finding | None:
    """Rewards are too small for the bins of the reward head."""
    step = greatest_return(history) / max(1.0, history.latest(LENGTH, 1.0))
    if not 0 < step < 1e-3:
        return None
    return Finding(
        "Reward head blind",
        f"Rewards are about {step:.1g} a step: their bins cannot tell them from 0.",
        "Scale rewards to about 1, with gymnasium.wrappers.TransformReward.",
    )


def no_rewards(history: History) -> Finding | None:
    """No episode has returned anything but 0."""
    if any(history.values(f"{RETURN}_max")) or any(history.values(f"{RETURN}_min")):
        return None
    if not history.values(f"{RETURN}_max"):
        return None
    return Finding(
        "No reward yet",
        "Every episode so far has returned 0.",
        "Give it time, a reward on the way to the goal, or easier starts.",
    )


def equal_returns(history: History) -> Finding | None:
    """All episodes have returned the same."""
    low, high = history.values(f"{RETURN}_min"), history.values(f"{RETURN}_max")
    if not low or min(low) != max(high) or not high[-1]:
        return None
    return Finding(
        "Returns are all equal",
        f"Every episode has returned {high[-1]:.6g}, whatever was done.",
        "Check the environment's reward: there is nothing to learn from it.",
    )


def critic_runs_away(history: History) -> Finding | None:
    """Values are larger than the returns so far make possible."""
    values = history.values(f"{LEARNER}/ACTOR_value_targets_pct95_ema", LATE)
    low = history.values(f"{LEARNER}/ACTOR_value_targets_pct5_ema", LATE)
    if not values or not history.values(f"{RETURN}_max"):
        return None
    greatest = greatest_return(history)
    step = greatest / max(1.0, min(history.values(LENGTH)))
    # Before the first reward, noise of the networks is all there is.
    possible = max(1.0, greatest, step / (1.0 - option(history, "gamma")))
    now = max(abs(values[-1]), abs(low[-1]) if low else 0.0)
    if now < 3.0 * possible:
        return None
    return Finding(
        "Critic runs away",
        f"Values reach {now:.3g}; by the returns so far no more than {possible:.3g} is possible.",
        "Lower critic_lr, or check gamma and how episodes end (terminated, not truncated).",
    )


def rewards_not_predicted(history: History) -> Finding | None:
    """The reward head predicts the usual reward also where replay holds another."""
    share = share_predicted(history)
    if share is None or share >= FEW_PREDICTED:
        return None
    return Finding(
        "Rewards not predicted",
        f"Of what is unusual in the rewards of replay, {max(0.0, share):.0%} is predicted.",
        f"Raise {learning_rate(history, 'world_model')}: small sizes need it. If it stays, "
        "observations do not show what is rewarded.",
    )


def values_impossible(history: History) -> Finding | None:
    """Returns in imagination have a sign that no reward has had."""
    low = late_median(history, "ACTOR_value_targets_pct5_ema")
    high = late_median(history, "ACTOR_value_targets_pct95_ema")
    least = min(history.values("replay_buffer/reward_min"), default=-math.inf)
    greatest = max(history.values("replay_buffer/reward_max"), default=math.inf)
    if low is None or high is None or (least < 0 < greatest):
        return None
    sign, end, wrong = ("negative", low, -low) if least >= 0 else ("positive", high, high)
    scale = max(-least, greatest)
    # Before values are learned, they are noise around 0.
    if not scale or wrong < _SMALL_VALUE * scale:
        return None
    return Finding(
        "Values that no rewards allow",
        f"A part of the returns in imagination lies beyond {end:.2g}, but no reward was ever "
        f"{sign}.",
        f"Raise {learning_rate(history, 'critic')}: small sizes need it.",
    )


def rewards_have_ended(history: History) -> Finding | None:
    """Episodes return 0, after some that did not."""
    names = (ENV_STEPS, f"{RETURN}_mean", f"{RETURN}_min", f"{RETURN}_max", LENGTH)
    rows = history.rows(*names)
    early, late = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    if not early or any(low or high for _, _, low, high, _ in late) or has_improved(history):
        return None
    rate = statistics.fmean(mean / max(1.0, length) for _, mean, _, _, length in early)
    steps = late[-1][0] - late[0][0]
    reward = max(history.values("replay_buffer/reward_max"), default=math.inf)
    # Rare rewards may fail to come by chance.
    if rate * steps <= _FEWEST_REWARDS * reward:
        return None
    return Finding(
        "Rewards have ended",
        f"There were {1000 * rate:.2g} in 1,000 env steps at first, and none in the last "
        f"{steps:,.0f}.",
        "Start again with more steps before learning (num_steps_sampled_before_learning_starts), "
        f"or a higher entropy_scale (now {option(history, 'entropy_scale'):g}).",
    )
