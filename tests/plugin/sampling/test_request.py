"""What the next call of an env runner is asked for."""

import math
from typing import Any

import pytest

from rllib_dreamerv3.plugin.sampling.request import PREFILL_RECORDS, SampleRequest, next_request
from rllib_dreamerv3.replay.update_schedule import UpdateSchedule


def request(**changes: Any) -> SampleRequest:
    state = {
        "schedule": UpdateSchedule(0.5),
        "records_per_call": 3,
        "most_ahead": 0,
        "random_prefill": True,
        "env_runners": 2,
        "records": 0,
        "pending_updates": 0,
        "missing": 10,
    }
    return next_request(**{**state, **changes})


@pytest.mark.parametrize("random", [True, False])
def test_actions_are_random_only_before_updates_begin_and_only_if_that_is_set(random: bool):
    each = PREFILL_RECORDS // 2
    before = request(random_prefill=random)
    assert before.arguments == {"num_records": each, "random_actions": random}
    assert request(random_prefill=random, missing=0).arguments == {}


@pytest.mark.parametrize(
    ("most_ahead", "room"), [(0, 9 + PREFILL_RECORDS // 2), (math.inf, math.inf)]
)
def test_prefill_ends_with_the_call_that_completes_it(most_ahead: float, room: float):
    assert request(most_ahead=most_ahead).room == room
