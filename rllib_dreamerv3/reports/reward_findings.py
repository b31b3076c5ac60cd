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

# Values below this share of the largest reward are noise.
_SMALL_VALUE = 0.05
# Fewer episodes may have returned the same by chance.
_MIN_EPISODES = 5
_EPISODES = "env_runners/num_episodes_lifetime"
# Minimum expected number of rewards before their absence is significant.
_MIN_REWARDS = 5


def tiny_rewards(history: History) -> Finding | None:
    """Rewards are too small for the resolution of the reward head's bins."""
    bounds = [history.latest(f"replay_buffer/reward_{end}", math.nan) for end in ("min", "max")]
    greatest = max(map(abs, bounds))
    if math.isnan(greatest):
        # Of results without them: sparse rewards are larger than the mean.
        greatest = greatest_return(history) / max(1.0, history.latest(LENGTH, 1.0))
    if not 0 < greatest < 1e-3:
        return None
    return Finding(
        "Rewards too small",
        f"Rewards are at most {greatest:.1g}, below the resolution of the reward head's bins.",
        "Scale rewards to about 1, with gymnasium.wrappers.TransformReward.",
    )


def no_rewards(history: History) -> Finding | None:
    """All returns so far are 0."""
    if any(history.values(f"{RETURN}_max")) or any(history.values(f"{RETURN}_min")):
        return None
    if not history.values(f"{RETURN}_max"):
        return None
    return Finding(
        "No reward yet",
        "Every episode so far has returned 0.",
        "Wait, reward progress towards the goal, start closer to it, or set use_curiosity.",
    )


def equal_returns(history: History) -> Finding | None:
    """All returns so far are equal."""
    low, high = history.values(f"{RETURN}_min"), history.values(f"{RETURN}_max")
    if not low or min(low) != max(high) or not high[-1]:
        return None
    # After pretraining, many updates come before the second episode.
    if history.latest(_EPISODES, math.inf) < _MIN_EPISODES:
        return None
    return Finding(
        "Returns are all equal",
        f"Every episode has returned {high[-1]:.6g}, regardless of the actions.",
        "Check the environment's reward. If each step costs the same until a goal is reached: "
        "start closer to it, or set use_curiosity.",
    )


def critic_diverges(history: History) -> Finding | None:
    """Values are larger than the observed returns allow."""
    values = history.values(f"{LEARNER}/ACTOR_value_targets_pct95_ema", LATE)
    low = history.values(f"{LEARNER}/ACTOR_value_targets_pct5_ema", LATE)
    if not values or not history.values(f"{RETURN}_max"):
        return None
    greatest = greatest_return(history)
    step = greatest / max(1.0, min(history.values(LENGTH)))
    # Before the first reward, values are noise.
    discount = 1.0 - option(history, "gamma")
    possible = max(1.0, greatest, step / discount if discount else math.inf)
    now = max(abs(values[-1]), abs(low[-1]) if low else 0.0)
    if now < 3.0 * possible:
        return None
    return Finding(
        "Critic diverges",
        f"Values reach {now:.3g}; observed returns allow at most {possible:.3g}.",
        f"Lower {learning_rate(history, 'critic')}, or check gamma and how episodes end "
        "(terminated, not truncated).",
    )


def rewards_not_predicted(history: History) -> Finding | None:
    """The reward head predicts the median reward even where replay holds another."""
    share = share_predicted(history)
    if share is None or share >= FEW_PREDICTED:
        return None
    return Finding(
        "Rewards not predicted",
        f"The reward head explains {max(0.0, share):.0%} of the deviation from the median reward.",
        f"Raise {learning_rate(history, 'world_model')}: small sizes need a higher one. If "
        "rewards stay unpredicted, observations may lack what is rewarded.",
    )


def values_impossible(history: History) -> Finding | None:
    """Imagined returns have a sign that no observed reward has."""
    low = late_median(history, "ACTOR_value_targets_pct5_ema")
    high = late_median(history, "ACTOR_value_targets_pct95_ema")
    least = min(history.values("replay_buffer/reward_min"), default=-math.inf)
    greatest = max(history.values("replay_buffer/reward_max"), default=math.inf)
    if low is None or high is None or (least < 0 < greatest):
        return None
    side, sign, end, wrong = (
        ("below", "negative", low, -low) if least >= 0 else ("above", "positive", high, high)
    )
    scale = max(-least, greatest)
    # Untrained values are noise around 0.
    if not scale or wrong < _SMALL_VALUE * scale:
        return None
    return Finding(
        "Impossible values",
        f"5 % of imagined returns are {side} {end:.2g}, but no {sign} reward was ever observed.",
        f"Raise {learning_rate(history, 'critic')}: small sizes need a higher one.",
    )


def rewards_have_ended(history: History) -> Finding | None:
    """Later episodes all return 0, unlike earlier ones."""
    names = (ENV_STEPS, f"{RETURN}_mean", f"{RETURN}_min", f"{RETURN}_max", LENGTH)
    rows = history.rows(*names)
    early, late = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    if not early or any(low or high for _, _, low, high, _ in late) or has_improved(history):
        return None
    rate = statistics.fmean(mean / max(1.0, length) for _, mean, _, _, length in early)
    steps = late[-1][0] - late[0][0]
    reward = max(history.values("replay_buffer/reward_max"), default=math.inf)
    # Rare rewards may be absent by chance.
    if rate * steps <= _MIN_REWARDS * reward:
        return None
    return Finding(
        "Rewards have ended",
        f"Initially {1000 * rate:.2g} reward per 1,000 env steps, none in the last {steps:,.0f}.",
        "Restart with more steps before learning (num_steps_sampled_before_learning_starts), "
        f"or a higher entropy_scale (now {option(history, 'entropy_scale'):g}).",
    )
