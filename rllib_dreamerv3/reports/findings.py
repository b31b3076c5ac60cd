"""Diagnosis of a run from its results: named findings, with evidence and what to change.

Each rule checks a few metrics. The thresholds are rules of thumb of this project, not from a paper,
chosen so that runs which learn trigger none (see ``tests/reports``).
"""

import math
import statistics
from collections.abc import Callable, Iterator

from rllib_dreamerv3.reports.actor_findings import actor_collapsed, actor_drifts, actor_uniform
from rllib_dreamerv3.reports.finding import (
    LATE,
    LEARNER,
    Finding,
    late_median,
    learning_rate,
    option,
)
from rllib_dreamerv3.reports.history import ENV_STEPS, UPDATES, History
from rllib_dreamerv3.reports.reward_findings import (
    critic_diverges,
    equal_returns,
    no_rewards,
    rewards_have_ended,
    rewards_not_predicted,
    tiny_rewards,
    values_impossible,
)

# Before this many updates, healthy and broken runs look alike.
MIN_UPDATES = 500
# A loss still falls if, of its latest values, the second half is below this share of the first.
_FALLING = 0.9


def findings(history: History) -> Iterator[Finding]:
    """Yield the findings of a run so far.

    Args:
        history: Its results.

    Yields:
        The findings, worst first.
    """
    updates = history.latest(UPDATES, 0.0)
    for min_updates, rule in _RULES:
        if updates >= min_updates:
            found = rule(history)
            if found is not None:
                yield found


def nothing_found(updates: float) -> str:
    """Text for a run without findings; says so if there are too few updates to judge."""
    enough = 2 * MIN_UPDATES
    few = f" Too few updates to judge: {updates:,.0f} of {enough:,}." if updates < enough else ""
    return f"Nothing looks wrong.{few}"


def _diverged(history: History) -> Finding | None:
    ignored = history.latest("num_updates_ignored", 0.0) + history.latest("num_rewinds", 0.0)
    if not ignored:
        return None
    return Finding(
        "Updates that were not finite",
        f"{ignored:.0f} updates were skipped or rewound.",
        "Lower the learning rates; diverged/ in the trial's directory has the batch.",
    )


def _unstable(history: History) -> Finding | None:
    losses = history.values(f"{LEARNER}/WORLD_MODEL_L_total")
    norms = history.values(f"{LEARNER}/WORLD_MODEL_gradients_global_norm")
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
        f"Its loss rose from {best:.3g} to {now:.3g}; its gradient norm is {norms[-1]:.3g}.",
        f"Lower {learning_rate(history, 'world_model')}.",
    )


def _constant_observations(history: History) -> Finding | None:
    if history.latest("replay_buffer/constant_observations", 0.0) < 1.0:
        return None
    return Finding(
        "Observations never change",
        f"They are equal in all {history.latest('replay_buffer/num_records'):,.0f} records.",
        "Check what the environment returns: rllib check-env.",
    )


def _posterior_stuck(history: History) -> Finding | None:
    decoder = history.values(f"{LEARNER}/WORLD_MODEL_L_decoder")
    kl = late_median(history, "WORLD_MODEL_KL")
    if kl is None or kl > 0.1 or len(decoder) < 4 or decoder[-1] < 0.01:
        return None
    if decoder[-1] < 0.9 * max(decoder):
        return None
    return Finding(
        "Decoder loss stuck",
        f"The decoder loss stays at {decoder[-1]:.3g} and the KL at {kl:.2g} nats: the posterior "
        "does not distinguish observations.",
        "Check the range of observations with rllib check-env, train longer, or use a larger "
        "model_size.",
    )


def _continues_unpredicted(history: History) -> Finding | None:
    losses = history.values(f"{LEARNER}/WORLD_MODEL_L_continue", LATE)
    records = history.latest("replay_buffer/num_records")
    rate = history.latest("replay_buffer/num_episodes_stored") / records
    if len(losses) < 2 or not 0 < rate < 0.5:
        return None
    first, last = map(statistics.median, (losses[: len(losses) // 2], losses[len(losses) // 2 :]))
    # With a low learning rate it falls for thousands of updates.
    if last < _FALLING * first:
        return None
    loss = statistics.median(losses)
    # If the label of a continuing step is the discount, its entropy remains in the loss.
    label = option(history, "gamma") if option(history, "discount_in_continue") else 1.0
    ends = 1.0 - (1.0 - rate) * label
    base_rate = -ends * math.log(ends) - (1 - ends) * math.log(1 - ends)
    if loss < 1.1 * base_rate:
        return None
    return Finding(
        "Episode ends not predicted",
        f"The continue loss is {loss:.2g}; predicting the base rate of episode ends gives "
        f"{base_rate:.2g}.",
        "Train longer. If the loss stays high, observations may lack what announces the end.",
    )


def _replay_small(history: History) -> Finding | None:
    records = history.latest("replay_buffer/num_records")
    evicted = history.latest("replay_buffer/num_env_steps_evicted_lifetime", 0.0)
    batch = option(history, "batch_size_B") * option(history, "batch_length_T")
    if not evicted or records >= 20 * batch:
        return None
    return Finding(
        "Replay too small",
        f"It holds {records:.0f} records ({records / batch:.1f} batches) and has evicted older "
        "records.",
        "Raise capacity (or capacity_bytes) in replay_buffer_config.",
    )


def _ratio_missed(history: History) -> Finding | None:
    reached, wanted = history.latest("actual_training_ratio"), option(history, "training_ratio")
    # Updates from recorded data are not counted.
    if not (history.latest(ENV_STEPS, 0.0) and reached < 0.9 * wanted):
        return None
    return Finding(
        "Training ratio not reached",
        f"{reached:.3g} instead of {wanted:.3g} records are trained on per sampled record.",
        "Sample less at a time: lower rollout_fragment_length or num_envs_per_env_runner.",
    )


def _slow_environment(history: History) -> Finding | None:
    calls = _sampling_calls(history)
    # Timers average over hundreds of calls, and the calls that fill replay take many steps each.
    if calls < 2 * MIN_UPDATES:
        return None
    sampling = history.latest("timers/sample", 0.0) * calls
    learning = history.latest("timers/learn", 0.0) * history.latest(UPDATES, 0.0)
    if sampling < 2.0 * learning or sampling < 30.0:
        return None
    return Finding(
        "Environment slower than learning",
        f"Sampling took {sampling:.0f} s, updates {learning:.0f} s.",
        "Add env runners (num_env_runners), or run each environment in its own process "
        "(gym_env_vectorize_mode: async).",
    )


def _sampling_calls(history: History) -> float:
    """Number of calls of ``sample()`` so far."""
    records = history.latest("replay_buffer/num_env_steps_added_lifetime", 0.0)
    config = history.config
    fragment = config.get("rollout_fragment_length")
    steps = (
        max(1, config.get("num_env_runners") or 0)
        * (config.get("num_envs_per_env_runner") or 1)
        * (fragment if isinstance(fragment, int) else 1)
    )
    return records / steps


_RULES: tuple[tuple[int, Callable[[History], Finding | None]], ...] = (
    (0, _diverged),
    (0, tiny_rewards),
    (MIN_UPDATES, _unstable),
    (MIN_UPDATES, equal_returns),
    (100, _constant_observations),
    (MIN_UPDATES, _posterior_stuck),
    (4 * MIN_UPDATES, rewards_not_predicted),
    (MIN_UPDATES, critic_diverges),
    (4 * MIN_UPDATES, values_impossible),
    (2 * MIN_UPDATES, actor_uniform),
    (2 * MIN_UPDATES, actor_collapsed),
    (4 * MIN_UPDATES, actor_drifts),
    (2 * MIN_UPDATES, rewards_have_ended),
    (2 * MIN_UPDATES, _continues_unpredicted),
    (0, _replay_small),
    (100, _ratio_missed),
    (100, _slow_environment),
    (2 * MIN_UPDATES, no_rewards),
)
