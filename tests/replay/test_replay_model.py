"""The buffer against a slow, obvious model of it, over random histories.

The model knows records by number. A stream is a list of the stretches without a gap, a stretch a
list of numbers, the queue a list of rows, a row a list of numbers. What eviction leaves is read
from the buffer: the model says only what may be done with it.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, Columns, RecordChunk
from rllib_dreamerv3.replay import ReplayBuffer, checkpoint, column_storage
from rllib_dreamerv3.replay.storage import Window

H, INDEX, NUMBER = "latent/h", "latent/index", "number"


class SlowReplay:
    """Drives a buffer and predicts it."""

    def __init__(
        self,
        length: int,
        context: int,
        online_queue: bool,
        capacity: int,
        directory: Path | None = None,
    ):
        self.options: dict[str, Any] = {
            "length": length,
            "context": context,
            "online_queue": online_queue,
            "capacity_records": capacity,
            "directory": directory,
        }
        self.buffer = ReplayBuffer(seed=0, **self.options)
        self.context, self.row_length = context, context + length
        self.streams: dict[str, list[list[int]]] = {"a": [[]], "b": [[]], "c": [[]]}
        self.positions = dict.fromkeys("abc", 0)
        self.queue: list[list[int]] | None = [] if online_queue else None
        self.h: list[float] = []
        self.index: list[int] = []
        self.unwritten: list[tuple[list[Window], list[list[int]]]] = []
        self.writes = 0

    def stored(self) -> dict[int, tuple[float, int]]:
        """Number of each stored record -> its latents, which are checked to be uniform."""
        found = {}
        for _, chunk in self.buffer.storage.chunks_oldest_first():
            columns = [chunk.read(name).tolist() for name in (NUMBER, H, INDEX)]
            for number, h, index in zip(*columns, strict=True):
                assert len(set(h)) == 1
                found[number] = (h[0], index[0])
        return found

    def add(self, stream: str, count: int, lost: int) -> None:
        stretches = self.streams[stream]
        if lost or not set(stretches[-1]) & self.stored().keys():
            stretches.append([])
        start = self.positions[stream] + lost
        numbers = range(len(self.h), len(self.h) + count)
        self.h += [-1.0] * count
        self.index += [0] * count
        columns: Columns = {
            NUMBER: np.array(numbers),
            H: np.full((count, 3), -1, np.float32),
            INDEX: np.zeros((count, 1), np.uint8),
            IS_FIRST: np.array([number % 3 == 0 for number in numbers]),
            IS_LAST: np.zeros(count, np.bool_),
        }
        self.buffer.add(RecordChunk(stream, start, columns))
        self.positions[stream] = start + count
        for number in numbers:
            stretches[-1].append(number)
            row = stretches[-1][1:][-self.row_length :]
            if self.queue is not None and (len(stretches[-1]) - 1) % self.row_length == 0 and row:
                self.queue.append(row)

    def sample(self, batch_size: int) -> None:
        stored = self.stored().keys()
        possible = [
            stretch[i : i + self.row_length]
            for stretches in self.streams.values()
            for stretch in stretches
            for i in range(len(stretch) - self.row_length + 1)
            if set(stretch[i : i + self.row_length]) <= stored
        ]
        assert self.buffer.num_windows == len(possible)
        assert self.buffer.can_sample == bool(possible)
        if not possible:
            with pytest.raises(ValueError, match="consecutive records yet"):
                self.buffer.sample(batch_size)
            return
        columns, windows = self.buffer.sample(batch_size)
        rows = columns[NUMBER].tolist()
        assert len(windows) == len(rows) == batch_size
        for row in rows:
            assert row in possible
        if self.queue is not None:
            waiting = [row for row in self.queue if set(row) <= stored]
            from_queue = min(batch_size, len(waiting))
            assert rows[:from_queue] == waiting[:from_queue]
            self.queue = waiting[from_queue:]
            assert self.buffer.metrics()["num_windows_queued"] == len(self.queue)
        expected = {
            H: [[[self.h[n]] * 3 for n in row] for row in rows],
            INDEX: [[[self.index[n]] for n in row] for row in rows],
            IS_FIRST: [[n % 3 == 0 or t == 0 for t, n in enumerate(row)] for row in rows],
        }
        for name, values in expected.items():
            assert columns[name].tolist() == values, name
        self.unwritten.append((windows, rows))

    def write_back(self) -> None:
        """Writes to the rows sampled longest ago; much may have been evicted since."""
        if not self.unwritten:
            return
        windows, rows = self.unwritten.pop(0)
        targets = [row[self.context :] for row in rows]
        size = len(rows) * len(targets[0])
        values = np.arange(self.writes, self.writes + size).reshape(len(rows), -1, 1)
        self.writes += size
        columns: Columns = {
            H: np.repeat(values, 3, axis=2).astype(np.float32),
            INDEX: (values % 256).astype(np.uint8),
        }
        self.buffer.write_back(windows, columns)
        for target, row_values in zip(targets, values[..., 0].tolist(), strict=True):
            for number, value in zip(target, row_values, strict=True):
                self.h[number], self.index[number] = float(value), value % 256

    def save_and_load(self) -> None:
        """Goes on with a copy from disk; a second copy must serve what the original does."""
        copies = [ReplayBuffer(seed=seed, **self.options) for seed in (1, 2)]
        with tempfile.TemporaryDirectory() as directory:
            checkpoint.save(self.buffer, Path(directory) / "replay")
            for each in copies:
                checkpoint.load(each, Path(directory) / "replay")
        original, (self.buffer, twin) = self.buffer, copies
        assert self.buffer.metrics() == twin.metrics() == original.metrics()
        if original.can_sample:
            for _ in range(3):
                expected, found = original.sample(5), twin.sample(5)
                assert [w.start for w in found.windows] == [w.start for w in expected.windows]
                for name in expected.columns:
                    np.testing.assert_array_equal(found.columns[name], expected.columns[name])
        # Places in the original mean nothing to a copy.
        self.unwritten.clear()

    def check(self) -> None:
        stored = self.stored()
        assert len(stored) == self.buffer.num_records
        for number, latents in stored.items():
            assert latents == (self.h[number], self.index[number]), number


operations = st.one_of(
    st.tuples(
        st.just("add"),
        st.sampled_from("abc"),
        st.integers(1, 30),
        st.sampled_from([0, 0, 0, 0, 1, 17]),  # records lost before these
    ),
    st.tuples(st.just("add"), st.just("a"), st.integers(1, 150), st.just(0)),
    st.tuples(st.just("sample"), st.integers(1, 6)),
    st.tuples(st.just("write_back")),
    st.tuples(st.just("save_and_load")),
)


histories = (
    st.lists(operations, min_size=5, max_size=40),
    st.integers(1, 9),
    st.sampled_from([0, 1]),
    st.booleans(),
    st.integers(10, 150),
)


def follow(replay: SlowReplay, history: list[tuple]) -> None:
    for name, *arguments in history:
        getattr(replay, name)(*arguments)
        replay.check()
    replay.sample(6)
    replay.write_back()
    replay.check()


@settings(max_examples=80, deadline=None)
@given(*histories)
def test_any_history_is_as_the_model_says(
    history: list[tuple], length: int, context: int, online_queue: bool, capacity: int
):
    follow(SlowReplay(length, context, online_queue, capacity), history)


@settings(max_examples=60, deadline=None)
@given(*histories, st.sampled_from([1, 5, 9]))
def test_any_history_is_as_the_model_says_with_files(
    history: list[tuple],
    length: int,
    context: int,
    online_queue: bool,
    capacity: int,
    least_file_bytes: int,
):
    """With every column in a file, those of numbers and h, or h alone."""
    with (
        tempfile.TemporaryDirectory() as directory,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(column_storage, "LEAST_FILE_BYTES", least_file_bytes)
        replay = SlowReplay(length, context, online_queue, capacity, Path(directory))
        follow(replay, history)
