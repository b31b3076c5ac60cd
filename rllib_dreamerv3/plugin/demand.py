"""What env runners are asked for: how many records, by whom acted, and how many at once."""

import math
from dataclasses import dataclass
from typing import Any

from rllib_dreamerv3.plugin.config import DreamerV3Config
from rllib_dreamerv3.replay.update_schedule import UpdateSchedule

# Records that one call collects while replay is being filled, over all env runners.
PREFILL_RECORDS = 128


@dataclass(frozen=True)
class Demand:
    """What is wanted of env runners at one moment.

    Attributes:
        arguments: Of one call of ``DreamerV3EnvRunner.sample()``.
        records: How many such a call brings, but for those that end episodes.
        room: Records that may be sampled and asked for beyond those that are stored.
        updates: Updates done so far.
        urgent: Whether nothing is to be done before records come.
    """

    arguments: dict[str, Any]
    records: int
    room: float
    updates: int
    urgent: bool


def demand_of(
    config: DreamerV3Config,
    schedule: UpdateSchedule,
    *,
    env_runners: int,
    records: int,
    pending_updates: int,
    missing: int,
) -> Demand:
    """Says what env runners are to be asked for.

    Before updates begin, actions are uniformly random in the 2023 code, those of the untrained
    policy in the 2025 code.

    Args:
        config: The run's.
        schedule: Its updates.
        env_runners: How many are asked.
        records: Stored so far.
        pending_updates: Updates that are due and not done.
        missing: Starts of sequences that replay needs for updates to begin; 0 if it has them.
    """
    ahead = config.most_records_ahead
    each = config.get_rollout_fragment_length() * config.num_envs_per_env_runner
    arguments: dict[str, Any] = {}
    room = schedule.room(records, pending_updates, ahead)
    if missing:
        each = max(1, PREFILL_RECORDS // max(1, env_runners))
        arguments = {"num_timesteps": each, "random_actions": config.resolved("random_prefill")}
        # As few as possible that come after updates have begun.
        room = missing - 1 + each if math.isfinite(ahead) else math.inf
    return Demand(
        arguments,
        each,
        room,
        updates=schedule.updates - pending_updates,
        urgent=not pending_updates,
    )
