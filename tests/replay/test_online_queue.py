"""Which new rows are served first, in which order, and which never."""

import numpy as np
import pytest
from vectors import case

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, RecordChunk
from rllib_dreamerv3.replay import ReplayBuffer


def add(buffer: ReplayBuffer, stream: str, start: int, num_records: int) -> None:
    marks = np.zeros(num_records, np.bool_)
    position = np.arange(start, start + num_records)
    columns = {"position": position, IS_FIRST: marks, IS_LAST: marks}
    buffer.add(RecordChunk(stream, start, columns))


def make_buffer(capacity: int = 1000, online_queue: bool = True) -> ReplayBuffer:
    """Rows of 1 + 4 records."""
    return ReplayBuffer(
        length=4, context=1, online_queue=online_queue, capacity_records=capacity, seed=0
    )


def served(buffer: ReplayBuffer, batch_size: int) -> list[tuple[str, int]]:
    """Stream and first position of sampled rows, which are checked to be there and whole."""
    columns, windows = buffer.sample(batch_size)
    starts = np.array([start for _, start in windows])
    np.testing.assert_array_equal(columns["position"], starts[:, None] + np.arange(5))
    return [(segment.stream, start) for segment, start in windows]


def queued(buffer: ReplayBuffer) -> int:
    return int(buffer.metrics()["num_windows_queued"])


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("step", [1, 2, 5, 7, 23])
def test_starts_are_those_of_the_vector(context: int, step: int):
    inputs, expected, *_ = case("online_queue")
    buffer = ReplayBuffer(
        length=inputs["L"] - context, context=context, online_queue=True, capacity_records=1000
    )
    for start in range(0, inputs["steps"], step):
        add(buffer, "a", start, min(step, inputs["steps"] - start))
    assert queued(buffer) == len(expected["starts"])
    windows = buffer.sample(len(expected["starts"])).windows
    assert [window.start for window in windows] == list(expected["starts"])
    assert queued(buffer) == 0


def test_a_row_joins_with_its_last_record():
    buffer = make_buffer()
    add(buffer, "a", 0, 5)
    assert (buffer.num_windows, queued(buffer)) == (1, 0)
    add(buffer, "a", 5, 1)
    assert queued(buffer) == 1
    add(buffer, "a", 6, 4)
    assert queued(buffer) == 1
    add(buffer, "a", 10, 1)
    assert queued(buffer) == 2


def test_streams_are_served_in_the_order_in_which_rows_were_completed():
    buffer = make_buffer()
    for start in range(0, 16, 2):
        add(buffer, "a", start, 2)
        add(buffer, "b", start, 2)
    assert served(buffer, 3) == [("a", 1), ("b", 1), ("a", 6)]
    assert served(buffer, 3) == [("b", 6), ("a", 11), ("b", 11)]


def test_what_the_queue_lacks_is_drawn():
    with_queue, without = make_buffer(), make_buffer(online_queue=False)
    for buffer in (with_queue, without):
        add(buffer, "a", 0, 40)
    rows = served(with_queue, 10)
    assert rows[:7] == [("a", start) for start in range(1, 32, 5)]
    # The queue takes nothing from the random generator: the drawn rows are the first drawn ones.
    assert rows[7:] == served(without, 3)
    assert served(with_queue, 5) == served(without, 5)


def test_an_error_takes_nothing_out():
    buffer = make_buffer()
    add(buffer, "a", 0, 11)
    with pytest.raises(ValueError, match="must be positive"):
        buffer.sample(0)
    assert served(buffer, 2) == [("a", 1), ("a", 6)]


def test_a_gap_starts_the_count_again():
    buffer = make_buffer()
    add(buffer, "a", 0, 8)
    add(buffer, "a", 10, 8)
    add(buffer, "a", 18, 3)
    add(buffer, "a", 0, 6)
    assert queued(buffer) == 4
    assert [start for _, start in served(buffer, 4)] == [1, 11, 16, 1]


@pytest.mark.parametrize("step", [1, 64, 640])
def test_evicted_rows_are_skipped_and_do_not_pile_up(step: int):
    buffer = make_buffer(capacity=64)
    for start in range(0, 640, step):
        add(buffer, "a", start, step)
    assert buffer.online_queue is not None
    assert len(buffer.online_queue._windows) <= 64 / 5
    oldest = 640 - buffer.num_records
    expected = [("a", start) for start in range(1, 640 - 5, 5) if start >= oldest]
    assert len(expected) > 10
    assert served(buffer, len(expected)) == expected


def test_a_row_evicted_before_older_ones_is_skipped():
    # The chunk of a slow stream may have been begun, and goes, before those of rows ahead of it.
    buffer = make_buffer(capacity=64)
    add(buffer, "slow", 0, 5)
    add(buffer, "fast", 0, 6)
    add(buffer, "slow", 5, 1)
    add(buffer, "fast", 6, 5)
    assert queued(buffer) == 3
    add(buffer, "fast", 11, 64 - 17 + 1)
    assert [len(segment) for segment in buffer.storage.segments] == [4, 59]
    assert queued(buffer) == 11
    assert served(buffer, 11) == [("fast", start) for start in range(1, 52, 5)]


def test_a_completely_evicted_stream_restarts():
    buffer = make_buffer(capacity=64)
    add(buffer, "a", 0, 6)
    add(buffer, "b", 0, 64)
    add(buffer, "a", 6, 6)
    assert served(buffer, 12) == [*(("b", start) for start in range(6, 60, 5)), ("a", 7)]
