"""The training ratio's scheduler."""

import math

import pytest
from vectors import case

from rllib_dreamerv3.replay.update_schedule import Pretraining, UpdateSchedule


@pytest.mark.parametrize("ratio", [1024, 512, 256, 32])
def test_agrees_with_the_test_vector(ratio):
    inputs, expected, _, _ = case("train_ratio_schedule")
    schedule = UpdateSchedule(ratio / 1024)
    assert [schedule.due(int(step)) for step in inputs["step"]] == list(expected[f"r{ratio}"])


@pytest.mark.parametrize("chunk", [1, 3, 8, 50])
def test_many_records_at_once_are_due_the_same_number_of_updates(chunk):
    schedule = UpdateSchedule(1 / 3)
    total = sum(schedule.due(1000 + records) for records in range(0, 601, chunk))
    last = 600 // chunk * chunk
    assert total == 1 + last // 3


def test_reached_ratio_settles_at_the_one_asked_for():
    schedule = UpdateSchedule(0.4)
    assert schedule.reached(500) == 0.0
    for records in range(500, 1501):
        schedule.due(records)
    assert schedule.reached(1500) == pytest.approx(0.4, rel=0.01)


def test_state_continues_where_it_was_saved():
    one, other = UpdateSchedule(0.3), UpdateSchedule(0.3)
    for records in range(100, 117):
        one.due(records)
    other.set_state(one.get_state())
    following = range(117, 160)
    assert [one.due(r) for r in following] == [other.due(r) for r in following]
    assert one.reached(159) == other.reached(159)


def test_room_is_what_the_next_update_needs_and_what_may_be_ahead():
    schedule = UpdateSchedule(1 / 4)
    assert schedule.room(50, 0, 8) == float("inf")
    assert schedule.due(100) == 1
    # The next one is due at 104; nothing has been trained yet.
    assert int(schedule.room(100, 0, 8)) == 12
    assert int(schedule.room(100, 1, 8)) == 8
    assert schedule.due(110) == 2
    # 108 are paid for, of which two updates are pending.
    assert int(schedule.room(110, 0, 8)) == 10
    assert int(schedule.room(110, 2, 8)) == 2
    assert schedule.room(110, 2, 5) < 0
    assert schedule.room(110, 2, float("inf")) == float("inf")


def test_reached_ratio_counts_what_is_done():
    schedule = UpdateSchedule(0.5)
    assert schedule.due(10) + schedule.due(28) == 10
    assert schedule.reached(28) == 0.5
    assert schedule.reached(28, pending=6) == 0.2
    schedule.cancel(6)
    assert schedule.reached(28) == 0.2
    # What was cancelled is not made up for.
    assert schedule.due(30) == 1


def test_no_update_is_lost_to_rounding():
    """Ten records at 0.3 updates each: the third is due with the last, not with the eleventh."""
    schedule = UpdateSchedule(0.3)
    assert schedule.due(0) == 1
    assert [schedule.due(record) for record in range(1, 31)] == [0, 0, 0, 1, 0, 0, 1, 0, 0, 1] * 3


def test_pretraining_is_due_in_pieces_until_it_is_done():
    pretraining = Pretraining(20)
    pieces = []
    while pretraining.left:
        pieces.append(pretraining.due())
        for _ in range(pieces[-1]):
            pretraining.count_update()
    assert pieces == [8, 8, 4]
    pretraining.count_update()
    assert (pretraining.done, pretraining.left, pretraining.due()) == (20, 0, 0)
    assert Pretraining(0).left == 0
    # A run without recorded data continues one that had it.
    later = Pretraining(0)
    later.done = 500
    assert (later.left, later.due()) == (0, 0)
    endless = Pretraining(math.inf)
    endless.count_update()
    assert (endless.due(), endless.left) == (8, math.inf)
