"""What the algorithm requests from env runners: how many records, which actions, and when."""

import math
from dataclasses import dataclass
from typing import Any

from rllib_dreamerv3.replay.update_schedule import UpdateSchedule

# Records that one call collects while replay is being filled, over all env runners.
PREFILL_RECORDS = 128


@dataclass(frozen=True)
class SampleRequest:
    """A request for records, made of the state of the run at one moment.

    Attributes:
        arguments: Of one call of ``DreamerV3EnvRunner.sample()``.
        records: Records that such a call returns, not counting those that end episodes.
        room: Records that may be sampled or in flight beyond those that are stored.
        updates: Updates done so far.
        urgent: Whether the algorithm has nothing to do until records arrive.
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
    """Returns the request that the state of a run asks for.

    Before updates begin, actions are uniformly random in the 2023 code, those of the untrained
    policy in the 2025 code.

    Args:
        schedule: The updates of the run.
        records_per_call: Records that one call of an env runner returns, once updates have begun.
        most_ahead: Most records beyond those for which the next update is due; may be infinite.
        random_prefill: Whether actions are uniformly random until updates begin.
        env_runners: Number of remote env runners.
        records: Stored so far.
        pending_updates: Updates that are due and not done.
        missing: Sequence starts that replay needs before updates begin; 0 if it has them.
    """
    each, arguments = records_per_call, dict[str, Any]()
    room = schedule.room(records, pending_updates, most_ahead)
    if missing:
        each = max(1, PREFILL_RECORDS // max(1, env_runners))
        arguments = {"num_timesteps": each, "random_actions": random_prefill}
        # As few as possible that come after updates have begun.
        room = missing - 1 + each if math.isfinite(most_ahead) else math.inf
    updates = schedule.updates - pending_updates
    return SampleRequest(arguments, each, room, updates, urgent=not pending_updates)
