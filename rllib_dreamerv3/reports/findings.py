"""What is wrong with a run, from its results: named findings, with evidence and what to change.

Each rule looks at a few values. Their limits are set so that runs which learn trigger none (see
``tests/reports``); they are rules of thumb of this project and come from no paper.
"""

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.reports.history import UPDATES, History

_LEARNER = "learners/default_policy"
_RETURN = "env_runners/episode_return"
_LENGTH = "env_runners/episode_len_mean"

# Before so many updates a healthy run looks like a broken one.
FEWEST_UPDATES = 500
# Mixing in 1 % of uniform choices leaves 0.03 nats of the 0.69 that two choices can have.
_COLLAPSED = 0.07
# The part of the results that "now" means.
_LATE = 1 / 3


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        name: What it is called.
        evidence: What was seen, with numbers.
        change: What to do about it.
    """

    name: str
    evidence: str
    change: str

    def __str__(self) -> str:
        """One line for each of the three."""
        return f"{self.name}\n  {self.evidence}\n  {self.change}"


def findings(history: History) -> Iterator[Finding]:
    """Yields all that is wrong with a run so far.

    Args:
        history: Its results.

    Yields:
        The findings, worst first.
    """
    updates = history.latest(UPDATES, 0.0)
    for fewest, rule in _RULES:
        if updates >= fewest:
            found = rule(history)
            if found is not None:
                yield found


def _diverged(history: History) -> Finding | None:
    ignored = history.latest("num_updates_ignored", 0.0) + history.latest("num_rewinds", 0.0)
    if not ignored:
        return None
    return Finding(
        "Updates that were not finite",
        f"{ignored:.0f} updates were left out or undone.",
        "Lower the learning rates; diverged/ in the trial's directory has the batch.",
    )


def _unstable(history: History) -> Finding | None:
    losses = history.values(f"{_LEARNER}/WORLD_MODEL_L_total")
    norms = history.values(f"{_LEARNER}/WORLD_MODEL_gradients_global_norm")
    if len(losses) < 6:
        return None
    part = max(2, len(losses) // 6)
    means = [
        statistics.median(losses[i : i + part]) for i in range(0, len(losses) - part + 1, part)
    ]
    best, now = min(means), means[-1]
    if now < 2.0 * best + 1.0:
        return None
    return Finding(
        "World model unstable",
        f"Its loss was {best:.3g} and is {now:.3g}; norm of its gradients now {norms[-1]:.3g}.",
        f"Lower world_model_lr (now {_option(history, 'world_model_lr')}), or lr with LaProp.",
    )


def _tiny_rewards(history: History) -> Finding | None:
    step = _greatest_return(history) / max(1.0, history.latest(_LENGTH, 1.0))
    if not 0 < step < 1e-3:
        return None
    return Finding(
        "Reward head blind",
        f"Rewards are about {step:.1g} a step: their bins cannot tell them from 0.",
        "Scale rewards to about 1, with gymnasium.wrappers.TransformReward.",
    )


def _no_rewards(history: History) -> Finding | None:
    if any(history.values(f"{_RETURN}_max")) or any(history.values(f"{_RETURN}_min")):
        return None
    if not history.values(f"{_RETURN}_max"):
        return None
    return Finding(
        "No reward yet",
        "Every episode so far has returned 0.",
        "Give it time, a reward on the way to the goal, or easier starts.",
    )


def _equal_returns(history: History) -> Finding | None:
    low, high = history.values(f"{_RETURN}_min"), history.values(f"{_RETURN}_max")
    if not low or min(low) != max(high) or not high[-1]:
        return None
    return Finding(
        "Returns are all equal",
        f"Every episode has returned {high[-1]:.6g}, whatever was done.",
        "Check the environment's reward: there is nothing to learn from it.",
    )


def _constant_observations(history: History) -> Finding | None:
    if history.latest("replay_buffer/constant_observations", 0.0) < 1.0:
        return None
    return Finding(
        "Observations never change",
        f"They are the same in all {history.latest('replay_buffer/num_records'):,.0f} records.",
        "Look at what the environment returns: rllib check-env.",
    )


def _posterior_stuck(history: History) -> Finding | None:
    decoder = history.values(f"{_LEARNER}/WORLD_MODEL_L_decoder")
    kl = _median(history, "WORLD_MODEL_KL")
    if kl is None or kl > 0.1 or len(decoder) < 4 or decoder[-1] < 0.01:
        return None
    if decoder[-1] < 0.9 * max(decoder):
        return None
    return Finding(
        "Image loss stuck",
        f"The decoder's loss stays at {decoder[-1]:.3g}, KL at {kl:.2g} nats: the posterior does "
        "not tell observations apart.",
        "Check the range of images with rllib check-env, train longer, or take a larger "
        "model_size.",
    )


def _critic_runs_away(history: History) -> Finding | None:
    values = history.values(f"{_LEARNER}/ACTOR_value_targets_pct95_ema", _LATE)
    low = history.values(f"{_LEARNER}/ACTOR_value_targets_pct5_ema", _LATE)
    if not values or not history.values(f"{_RETURN}_max"):
        return None
    greatest = _greatest_return(history)
    step = greatest / max(1.0, min(history.values(_LENGTH)))
    # Before the first reward, noise of the networks is all there is.
    possible = max(1.0, greatest, step / (1.0 - _option(history, "gamma")))
    now = max(abs(values[-1]), abs(low[-1]) if low else 0.0)
    if now < 3.0 * possible:
        return None
    return Finding(
        "Critic runs away",
        f"Values reach {now:.3g}; by the returns so far no more than {possible:.3g} is possible.",
        "Lower critic_lr, or check gamma and how episodes end (terminated, not truncated).",
    )


def _actor_uniform(history: History) -> Finding | None:
    entropy = history.values(f"{_LEARNER}/ACTOR_action_entropy")
    high = _median(history, "ACTOR_value_targets_pct95_ema")
    low = _median(history, "ACTOR_value_targets_pct5_ema")
    if not entropy or high is None or low is None or _has_improved(history):
        return None
    # Where returns hardly differ, there is nothing yet that could outweigh the entropy.
    if high - low < 1.0 or not 0 < 1.05 * entropy[0] < max(entropy):
        return None
    now = statistics.median(history.values(f"{_LEARNER}/ACTOR_action_entropy", _LATE))
    if now < 0.98 * max(entropy):
        return None
    return Finding(
        "Actor uniform",
        f"In {history.latest(UPDATES):,.0f} updates its entropy has risen from {entropy[0]:.3g} to "
        f"{now:.3g}, while returns differ by {high - low:.3g} and have not risen.",
        f"Lower entropy_scale (now {_option(history, 'entropy_scale'):g}).",
    )


def _actor_collapsed(history: History) -> Finding | None:
    entropy = history.values(f"{_LEARNER}/ACTOR_action_entropy")
    if not entropy or max(entropy) <= 0 or _has_improved(history):
        return None
    now = statistics.median(history.values(f"{_LEARNER}/ACTOR_action_entropy", _LATE))
    if not 0 <= now <= _COLLAPSED * max(entropy):
        return None
    return Finding(
        "Actor collapsed",
        f"Its entropy fell from {max(entropy):.3g} to {now:.3g}, and returns have not risen.",
        f"Raise entropy_scale (now {_option(history, 'entropy_scale'):g}), or lower actor_lr.",
    )


def _continues_unpredicted(history: History) -> Finding | None:
    loss = _median(history, "WORLD_MODEL_L_continue")
    records = history.latest("replay_buffer/num_records")
    rate = history.latest("replay_buffer/num_episodes_stored") / records
    if loss is None or not 0 < rate < 0.5:
        return None
    unaware = -rate * math.log(rate) - (1 - rate) * math.log(1 - rate)
    if loss < 1.1 * unaware:
        return None
    return Finding(
        "Ends are never predicted",
        f"The loss of continues is {loss:.2g}; who knew only how often episodes end had "
        f"{unaware:.2g}.",
        "Train longer; if it stays, observations do not show that the end is near.",
    )


def _replay_small(history: History) -> Finding | None:
    records = history.latest("replay_buffer/num_records")
    evicted = history.latest("replay_buffer/num_env_steps_evicted_lifetime", 0.0)
    batch = _option(history, "batch_size_B") * _option(history, "batch_length_T")
    if not evicted or records >= 20 * batch:
        return None
    return Finding(
        "Replay too small",
        f"It holds {records:.0f} records, {records / batch:.1f} batches, and forgets older ones.",
        "Raise capacity (or capacity_bytes) in replay_buffer_config.",
    )


def _ratio_missed(history: History) -> Finding | None:
    reached, wanted = history.latest("actual_training_ratio"), _option(history, "training_ratio")
    if not reached < 0.9 * wanted:
        return None
    return Finding(
        "Training ratio not reached",
        f"{reached:.3g} instead of {wanted:.3g} records are trained on for each sampled one.",
        "Sample less at a time: lower rollout_fragment_length or num_envs_per_env_runner.",
    )


def _slow_environment(history: History) -> Finding | None:
    sampling, learning = _seconds(history)
    if sampling < 2.0 * learning or sampling < 30.0:
        return None
    return Finding(
        "Environment slower than learning",
        f"{sampling:.0f} s went into sampling, {learning:.0f} s into updates.",
        "Add env runners (num_env_runners), or environments in processes of their own "
        "(gym_env_vectorize_mode: async).",
    )


def _seconds(history: History) -> tuple[float, float]:
    """Seconds of sampling and of learning, of those that can be told apart."""
    learning = history.latest("timers/learn", 0.0) * history.latest(UPDATES, 0.0)
    records = history.latest("replay_buffer/num_env_steps_added_lifetime", 0.0)
    config = history.config
    fragment = config.get("rollout_fragment_length")
    steps = (
        max(1, config.get("num_env_runners") or 0)
        * (config.get("num_envs_per_env_runner") or 1)
        * (fragment if isinstance(fragment, int) else 1)
    )
    return history.latest("timers/sample", 0.0) * records / steps, learning


def _greatest_return(history: History) -> float:
    """The return that was farthest from 0; 0 before there is one."""
    returns = [*history.values(f"{_RETURN}_max"), *history.values(f"{_RETURN}_min")]
    return max(map(abs, returns), default=0.0)


def _has_improved(history: History) -> bool:
    """Whether returns have risen from the start by a tenth of their range."""
    means = history.values(f"{_RETURN}_mean")
    if len(means) < 2:
        return True
    every = [*history.values(f"{_RETURN}_max"), *history.values(f"{_RETURN}_min")]
    late = statistics.median(history.values(f"{_RETURN}_mean", _LATE))
    return late > means[0] + 0.1 * (max(every) - min(every))


def _median(history: History, name: str) -> float | None:
    values = history.values(f"{_LEARNER}/{name}", _LATE)
    return statistics.median(values) if values else None


def _option(history: History, name: str) -> Any:
    """An option as it counted."""
    value = history.config.get(name)
    if value is not None:
        return value
    size, variant = history.config.get("model_size", "XS"), history.config.get("variant")
    return OPTIONS[name].default(variant_of(size, variant))


_RULES: tuple[tuple[int, Callable[[History], Finding | None]], ...] = (
    (0, _diverged),
    (0, _tiny_rewards),
    (FEWEST_UPDATES, _unstable),
    (FEWEST_UPDATES, _equal_returns),
    (100, _constant_observations),
    (FEWEST_UPDATES, _posterior_stuck),
    (FEWEST_UPDATES, _critic_runs_away),
    (2 * FEWEST_UPDATES, _actor_uniform),
    (2 * FEWEST_UPDATES, _actor_collapsed),
    (2 * FEWEST_UPDATES, _continues_unpredicted),
    (0, _replay_small),
    (100, _ratio_missed),
    (100, _slow_environment),
    (2 * FEWEST_UPDATES, _no_rewards),
)
