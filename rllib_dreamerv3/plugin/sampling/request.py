"""What env runners are asked for: how many records, by whom acted, and how many at once."""

import math
from dataclasses import dataclass
from typing import Any

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
    schedule: UpdateSchedule,
    *,
    records_per_call: int,
    most_ahead: float,
    random_prefill: bool,
    env_runners: int,
    records: int,
    pending_updates: int,
    missing: int,
) -> Demand:
    """Says what env runners are to be asked for.

    Before updates begin, actions are uniformly random in the 2023 code, those of the untrained
    policy in the 2025 code.

    Args:
        schedule: The updates of the run.
        records_per_call: Records that one call of an env runner brings, once updates have begun.
        most_ahead: Most records beyond those for which the next update is due; may be infinite.
        random_prefill: Whether actions are uniformly random until updates begin.
        env_runners: How many are asked.
        records: Stored so far.
        pending_updates: Updates that are due and not done.
        missing: Starts of sequences that replay needs for updates to begin; 0 if it has them.
    """
    each = records_per_call
    arguments: dict[str, Any] = {}
    room = schedule.room(records, pending_updates, most_ahead)
    if missing:
        each = max(1, PREFILL_RECORDS // max(1, env_runners))
        arguments = {"num_timesteps": each, "random_actions": random_prefill}
        # As few as possible that come after updates have begun.
        room = missing - 1 + each if math.isfinite(most_ahead) else math.inf
    return Demand(
        arguments,
        each,
        room,
        updates=schedule.updates - pending_updates,
        urgent=not pending_updates,
    )
