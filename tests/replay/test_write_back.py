"""Values written back land in their records and nowhere else."""

from typing import Any

import numpy as np
import pytest

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, Columns, RecordChunk
from rllib_dreamerv3.replay import ReplayBuffer

H, INDEX = "latent/h", "latent/index"
T, CAPACITY = 6, 128
"""Chunks have 4 records here, so rows cross two or three of them."""


def add(buffer: ReplayBuffer, stream: str, start: int, num_records: int) -> None:
    marks = np.zeros(num_records, np.bool_)
    columns: Columns = {
        "position": np.arange(start, start + num_records),
        H: np.zeros((num_records, 3), np.float32),
        INDEX: np.zeros((num_records, 2), np.uint8),
        IS_FIRST: marks,
        IS_LAST: marks,
    }
    buffer.add(RecordChunk(stream, start, columns))


def make_buffer(context: int = 1) -> ReplayBuffer:
    return ReplayBuffer(length=T, context=context, capacity_records=CAPACITY, seed=0)


def fresh(num_rows: int, first: int = 1) -> Columns:
    """Other values for each record of each row, none of them zero."""
    number = np.arange(first, first + num_rows * T).reshape(num_rows, T, 1)
    return {H: np.repeat(number, 3, 2).astype(np.float32), INDEX: np.repeat(number, 2, 2) % 250 + 1}


def fresh_bytes(num_rows: int, first: int = 1) -> Columns:
    columns = fresh(num_rows, first)
    return {**columns, INDEX: columns[INDEX].astype(np.uint8)}


def stored(buffer: ReplayBuffer, name: str) -> dict[tuple[str, int], list[Any]]:
    """(stream, position) -> stored value."""
    return {
        (segment.stream, int(chunk.columns["position"][i])): chunk.columns[name][i].tolist()
        for segment, chunk in buffer.storage.chunks_oldest_first()
        for i in range(chunk.size)
    }


@pytest.mark.parametrize("context", [0, 1])
def test_values_land_behind_the_context_and_nowhere_else(context: int):
    buffer = make_buffer(context)
    for stream in "ab":
        add(buffer, stream, 0, 30)
    assert buffer.storage.chunk_records == 4
    rows = buffer.sample(1)
    ((segment, start),) = rows.windows
    values = fresh_bytes(1)
    buffer.write_back(rows.windows, values)
    for name, width in ((H, 3), (INDEX, 2)):
        expected = {place: [0] * width for place in stored(buffer, name)}
        for t in range(T):
            expected[segment.stream, start + context + t] = values[name][0, t].tolist()
        assert stored(buffer, name) == expected


def test_sampled_rows_show_what_was_written_and_stay_as_they_are_when_it_changes():
    buffer = make_buffer()
    add(buffer, "a", 0, T + 1)
    before = buffer.sample(2)
    values = fresh_bytes(1)
    buffer.write_back(before.windows[:1], values)
    assert not before.columns[H].any()
    after = buffer.sample(1).columns
    for name in (H, INDEX):
        np.testing.assert_array_equal(after[name][0, 1:], values[name][0])
        assert not after[name][0, 0].any(), "the context record keeps its own"
        values[name][:] = 0
    assert stored(buffer, H)["a", 1] == [1, 1, 1]


def test_of_overlapping_rows_the_last_one_stays():
    buffer = make_buffer(context=0)
    add(buffer, "a", 0, T + 2)
    windows = sorted(set(buffer.sample(50).windows), key=lambda window: window.start)
    assert [window.start for window in windows] == [0, 1, 2]
    order = [windows[2], windows[0], windows[1], windows[0]]
    values = fresh_bytes(4)
    buffer.write_back(order, values)
    found = [stored(buffer, H)["a", i][0] for i in range(T + 2)]
    h = values[H][..., 0]
    assert found == [*h[3], h[2][T - 1], h[0][T - 1]]


def test_evicted_records_are_skipped():
    buffer = make_buffer()
    add(buffer, "a", 0, T + 1)
    (window,) = buffer.sample(1).windows
    add(buffer, "a", T + 1, CAPACITY - T - 1)
    values = fresh_bytes(1)
    add(buffer, "a", CAPACITY, 1)  # evicts records 0 to 3
    assert min(stored(buffer, H)) == ("a", 4)
    buffer.write_back([window], values)
    found = stored(buffer, H)
    assert [found["a", i] for i in range(4, 9)] == [*values[H][0, 3:].tolist(), [0] * 3, [0] * 3]
    add(buffer, "a", CAPACITY + 1, 4)  # evicts records 4 to 7, the rest of the row
    before = stored(buffer, H)
    buffer.write_back([window], values)
    assert stored(buffer, H) == before


def test_rows_of_a_removed_or_restarted_stream_are_skipped():
    buffer = make_buffer()
    add(buffer, "a", 0, T + 1)
    windows = buffer.sample(1).windows
    add(buffer, "b", 0, CAPACITY)
    add(buffer, "a", 0, T + 1)
    assert ("a", 1) in stored(buffer, H)
    buffer.write_back(windows, fresh_bytes(1))
    assert not any(map(any, stored(buffer, H).values()))


def test_rows_from_before_the_buffer_was_cleared_are_skipped():
    buffer = make_buffer()
    add(buffer, "a", 0, 20)
    windows = buffer.sample(4).windows
    buffer.storage.clear()
    buffer.write_back(windows, fresh_bytes(4))
    add(buffer, "a", 0, 20)
    buffer.write_back(windows, fresh_bytes(4))
    assert not any(map(any, stored(buffer, H).values()))


REFUSED: dict[str, tuple[Columns, str]] = {
    "unknown": ({"latent/z": np.ones((2, T))}, "'latent/z' .*stores only position, latent/h, "),
    "dtype": (fresh(2), r"'latent/index' .*it is int64\[2, 6, 2\], .*is uint8\[2, 6, 2\]"),
    "rows": (fresh_bytes(3), r"'latent/h' .*it is float32\[3, 6, 3\], .*is float32\[2, 6, 3\]"),
    "context": ({H: np.ones((2, T + 1, 3), np.float32)}, r"it is float32\[2, 7, 3\]"),
    "width": ({H: np.ones((2, T, 4), np.float32)}, r"it is float32\[2, 6, 4\]"),
    "rank": ({H: np.ones((2, T), np.float32)}, r"it is float32\[2, 6\]"),
    "list": ({H: [1.0]}, "must be a NumPy array, not list"),  # type: ignore[dict-item]
    "marks": ({IS_FIRST: np.ones((2, T), np.bool_)}, "'is_first' .*where episodes begin and end"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused_columns_are_named_and_change_nothing(reason: str):
    columns, message = REFUSED[reason]
    buffer = make_buffer()
    add(buffer, "a", 0, 30)
    windows = buffer.sample(2).windows
    # A good column in front of the bad one must not be written either.
    good = {} if H in columns else {H: np.ones((2, T, 3), np.float32)}
    with pytest.raises(ValueError, match=message):
        buffer.write_back(windows, good | columns)
    assert not any(map(any, stored(buffer, H).values()))
    assert not any(map(any, stored(buffer, INDEX).values()))
    assert buffer.storage.num_first == 0
