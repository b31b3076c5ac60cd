"""Requests to env runners: how many records, with which actions, and when."""

import math
from dataclasses import dataclass
from typing import Any

from rllib_dreamerv3.replay.update_schedule import UpdateSchedule

# Records of one call over all env runners, while replay is prefilled.
PREFILL_RECORDS = 128


@dataclass(frozen=True)
class SampleRequest:
    """A request for records, derived from the current state of the run.

    Attributes:
        arguments: Arguments of ``DreamerV3EnvRunner.sample()``.
        records: Records that one call returns, without the last records of episodes.
        room: Limit on records sampled or in flight beyond those that are stored.
        updates: Updates done so far.
        urgent: Whether the algorithm is idle until records arrive.
    """

    arguments: dict[str, Any]
    records: int
    room: float
    updates: int
    urgent: bool


def next_request(
    schedule: UpdateSchedule,
    *,
    records_per_call: int,
    most_ahead: float,
    random_prefill: bool,
    env_runners: int,
    records: int,
    pending_updates: int,
    missing: int,
) -> SampleRequest:
    """Build the next request from the state of a run.

    Before updates begin, actions are uniformly random in the 2023 code, and those of the untrained
    policy in the 2025 code.

    Args:
        schedule: The run's schedule of updates.
        records_per_call: Records that one call of an env runner returns, once updates have begun.
        most_ahead: Limit on records beyond those that the next update needs; may be infinite.
        random_prefill: Whether actions are uniformly random until updates begin.
        env_runners: Number of remote env runners.
        records: Records stored so far.
        pending_updates: Updates that are due and not done.
        missing: Sequence starts that replay still needs before updates begin.
    """
    each, arguments = records_per_call, dict[str, Any]()
    room = schedule.room(records, pending_updates, most_ahead)
    if missing:
        each = max(1, PREFILL_RECORDS // max(1, env_runners))
        arguments = {"num_records": each, "random_actions": random_prefill}
        # Few records should arrive after updates have begun.
        room = missing - 1 + each if math.isfinite(most_ahead) else math.inf
    updates = schedule.updates - pending_updates
    return SampleRequest(arguments, each, room, updates, urgent=not pending_updates)
