"""Which rows the buffer serves, how it forgets, and what it refuses."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rllib_dreamerv3.records import (
    ACTION,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    REWARD,
    Columns,
    RecordChunk,
)
from rllib_dreamerv3.replay import ReplayBuffer

EPISODE = 5


def stream_number(stream: str) -> int:
    return int.from_bytes(stream.encode(), "big")


def make_chunk(stream: str, start: int, num_records: int) -> RecordChunk:
    """Records whose content says where they come from; episodes have 5 records each."""
    position = np.arange(start, start + num_records)
    return RecordChunk(
        stream,
        start,
        {
            "obs/place": np.stack([np.full(num_records, stream_number(stream)), position], axis=1),
            "obs/image": np.broadcast_to(
                (position % 256).astype(np.uint8)[:, None, None, None], (num_records, 4, 4, 3)
            ).copy(),
            REWARD: position.astype(np.float32),
            IS_FIRST: position % EPISODE == 0,
            IS_LAST: position % EPISODE == EPISODE - 1,
            IS_TERMINAL: np.zeros(num_records, np.bool_),
            ACTION: position[:, None].astype(np.float32) * np.ones((1, 2), np.float32),
        },
    )


def make_buffer(length: int = 4, capacity: int = 1000, **options: Any) -> ReplayBuffer:
    return ReplayBuffer(length=length, capacity_records=capacity, seed=0, **options)


def stored_positions(buffer: ReplayBuffer) -> dict[str, list[int]]:
    """Stream name -> positions of its stored records, read back from the stored bytes."""
    found: dict[str, list[int]] = {}
    for segment, chunk in buffer.storage.chunks_oldest_first():
        rewards = chunk.columns[REWARD][: chunk.size]
        found.setdefault(segment.stream, []).extend(int(r) for r in rewards)
    return {stream: sorted(positions) for stream, positions in found.items()}


def assert_is_slice_of_stream(rows: Columns, row: int) -> None:
    """The row equals what its stream delivered, but for the forced is_first."""
    places = rows["obs/place"][row]
    original = make_chunk("any", int(places[0, 1]), len(places)).columns
    assert len(set(places[:, 0])) == 1, "a row mixes streams"
    original["obs/place"] = np.stack([places[:1, 0].repeat(len(places)), original[REWARD]], 1)
    original[IS_FIRST][0] = True
    for name, expected in original.items():
        np.testing.assert_array_equal(rows[name][row], expected, err_msg=name)


def test_row_has_shape_and_dtype_of_the_records():
    buffer = make_buffer()
    buffer.add(make_chunk("a", 0, 20))
    rows = buffer.sample(3).columns
    assert rows["obs/image"].shape == (3, 4, 4, 4, 3)
    assert rows["obs/image"].dtype == np.uint8
    assert rows[REWARD].shape == (3, 4)
    assert rows[REWARD].dtype == np.float32
    assert rows[IS_FIRST].dtype == np.bool_
    with_context = make_buffer(length=4, context=1)
    with_context.add(make_chunk("a", 0, 20))
    assert with_context.sample(3).columns[ACTION].shape == (3, 5, 2)


def test_rows_cross_chunks_and_episodes_unchanged():
    buffer = make_buffer(length=40, capacity=640)
    for start in range(0, 600, 25):
        buffer.add(make_chunk("a", start, 25))
    assert buffer.storage.chunk_records == 20, "rows must span several chunks here"
    rows = buffer.sample(200).columns
    for row in range(200):
        assert_is_slice_of_stream(rows, row)


def test_is_first_is_forced_in_the_copy_only():
    buffer = make_buffer(length=2)
    buffer.add(make_chunk("a", 1, 4))
    for _ in range(5):
        assert buffer.sample(8).columns[IS_FIRST][:, 0].all()
    assert buffer.storage.num_first == 0
    _, chunk = next(buffer.storage.chunks_oldest_first())
    assert not chunk.columns[IS_FIRST][: chunk.size].any()


def test_stored_records_do_not_follow_the_callers_arrays():
    buffer = make_buffer(length=3)
    chunk = make_chunk("a", 0, 3)
    buffer.add(chunk)
    chunk.columns[REWARD][:] = -1
    rows = buffer.sample(1).columns
    np.testing.assert_array_equal(rows[REWARD], [[0, 1, 2]])
    rows[REWARD][:] = -1
    np.testing.assert_array_equal(buffer.sample(1).columns[REWARD], [[0, 1, 2]])


def test_every_start_position_is_equally_likely():
    buffer = make_buffer(length=4, capacity=128)
    for start in range(0, 120, 3):
        buffer.add(make_chunk("a", start, 3))
        buffer.add(make_chunk("b", start + 1000 * (start >= 60), 3))
    buffer.add(make_chunk("short", 0, 3))
    stored = stored_positions(buffer)
    assert buffer.num_records < 243, "must have evicted"
    assert len(buffer.storage.segments) >= 3
    possible = {
        (stream_number(stream), p)
        for stream, positions in stored.items()
        for p in positions
        if all(p + i in positions for i in range(4))
    }
    assert buffer.num_windows == len(possible)
    counts = dict.fromkeys(possible, 0)
    draws = 200 * len(possible)
    for place in buffer.sample(draws).columns["obs/place"][:, 0]:
        counts[tuple(place.tolist())] += 1  # a KeyError is a row that must not exist
    expected = draws / len(possible)
    chi_square = sum((n - expected) ** 2 / expected for n in counts.values())
    freedom = len(possible) - 1
    assert abs(chi_square - freedom) < 4 * np.sqrt(2 * freedom)


def test_context_counts_as_part_of_a_row():
    buffer = make_buffer(length=4, context=1)
    buffer.add(make_chunk("a", 0, 4))
    assert not buffer.can_sample
    with pytest.raises(ValueError, match="not have 5 consecutive records yet: of its 4 records"):
        buffer.sample(1)
    buffer.add(make_chunk("a", 4, 2))
    assert buffer.num_windows == 2
    rows = buffer.sample(100).columns
    assert set(rows[REWARD][:, 0].tolist()) == {0, 1}
    for row in range(100):
        assert_is_slice_of_stream(rows, row)
    assert rows[IS_FIRST][:, 0].all(), "the context record is marked, not the first to train on"
    assert not rows[IS_FIRST][:, 1].any()
    assert buffer.metrics()["num_records_sampled_lifetime"] == 400


def test_short_segments_are_drawn_in_proportion():
    # Drawing a segment first and a place second would favour short segments by far.
    buffer = make_buffer(length=4)
    buffer.add(make_chunk("a", 0, 5))
    buffer.add(make_chunk("b", 0, 101))
    in_short = (buffer.sample(5000).columns["obs/place"][:, 0, 0] == stream_number("a")).mean()
    assert in_short == pytest.approx(2 / 100, abs=0.01)


def test_gap_and_restart_begin_a_new_segment():
    buffer = make_buffer(length=4)
    buffer.add(make_chunk("a", 7, 3))
    buffer.add(make_chunk("a", 11, 3))
    buffer.add(make_chunk("a", 0, 3))
    buffer.add(make_chunk("b", 3, 3))
    assert buffer.num_records == 12
    assert buffer.num_windows == 0
    assert not buffer.can_sample
    buffer.add(make_chunk("a", 3, 1))
    assert buffer.num_windows == 1
    np.testing.assert_array_equal(buffer.sample(1).columns[REWARD], [[0, 1, 2, 3]])


def test_sampling_too_early_is_a_clear_error_and_draws_nothing():
    early, late = make_buffer(), make_buffer()
    with pytest.raises(ValueError, match="not have 4 consecutive records yet: of its 0 records"):
        early.sample(1)
    early.add(make_chunk("a", 0, 3))
    with pytest.raises(ValueError, match="at most 3 are consecutive"):
        early.sample(1)
    early.add(make_chunk("a", 3, 30))
    late.add(make_chunk("a", 0, 33))
    np.testing.assert_array_equal(early.sample(9).columns[REWARD], late.sample(9).columns[REWARD])
    with pytest.raises(ValueError, match="must be positive"):
        early.sample(0)


def test_seed_decides_the_draws():
    def draws(seed: int) -> np.ndarray:
        buffer = ReplayBuffer(length=4, capacity_records=1000, capacity_bytes=None, seed=seed)
        for start in range(0, 300, 10):
            buffer.add(make_chunk("a", start, 10))
            buffer.add(make_chunk("b", start, 10))
        return np.concatenate([buffer.sample(16).columns["obs/place"] for _ in range(3)])

    np.testing.assert_array_equal(draws(1), draws(1))
    assert (draws(1) != draws(2)).any()


@pytest.mark.parametrize("step", [1, 7, 64, 5000])
def test_oldest_records_leave_first(step: int):
    buffer = make_buffer(capacity=320)
    for start in range(0, 5000, step):
        buffer.add(make_chunk("a", start, min(step, 5000 - start)))
        assert buffer.num_records <= 320
    kept = stored_positions(buffer)["a"]
    assert kept == list(range(kept[0], 5000)), "the newest must be there, without a hole"
    assert len(kept) > 320 - buffer.storage.chunk_records
    assert buffer.num_windows == len(kept) - 3


def test_streams_share_the_capacity_oldest_first():
    buffer = make_buffer(capacity=320)
    buffer.add(make_chunk("old", 0, 100))
    buffer.add(make_chunk("new", 0, 200))
    buffer.add(make_chunk("new", 200, 60))
    assert stored_positions(buffer) == {"old": list(range(40, 100)), "new": list(range(260))}
    buffer.add(make_chunk("new", 260, 60))
    assert stored_positions(buffer) == {"new": list(range(320))}
    buffer.add(make_chunk("old", 100, 4))
    assert buffer.num_windows == 310 - 3 + 1


def test_byte_capacity_binds_when_it_is_smaller():
    record_bytes = sum(c[:1].nbytes for c in make_chunk("a", 0, 1).columns.values())
    buffer = make_buffer(capacity=1000, capacity_bytes=100 * record_bytes + 1)
    for start in range(0, 500, 10):
        buffer.add(make_chunk("a", start, 10))
        assert buffer.num_bytes <= 100 * record_bytes
    assert 90 < buffer.num_records <= 100
    assert buffer.num_bytes == buffer.num_records * record_bytes
    assert buffer.metrics()["capacity_records"] == 100


@pytest.mark.parametrize(("length", "capacity"), [(1, 1), (4, 4), (4, 40), (64, 64), (96, 97)])
@pytest.mark.parametrize("step", [1, 3, 50])
def test_full_buffer_of_one_stream_always_holds_a_row(length: int, capacity: int, step: int):
    buffer = make_buffer(length, capacity)
    for start in range(0, 200, step):
        buffer.add(make_chunk("a", start, step))
        if start + step >= length:
            assert buffer.can_sample
            assert_is_slice_of_stream(buffer.sample(1).columns, 0)
        assert buffer.num_records <= capacity


def test_impossible_capacities_are_refused():
    with pytest.raises(ValueError, match="3 records cannot hold one sequence of 4"):
        make_buffer(capacity=3)
    with pytest.raises(ValueError, match="4 records cannot hold one sequence of 5"):
        make_buffer(capacity=4, context=1)
    with pytest.raises(ValueError, match="at least 1 training record"):
        make_buffer(length=0, context=1)
    with pytest.raises(ValueError, match="0 or 1 context records, not 2"):
        make_buffer(context=2)
    with pytest.raises(ValueError, match="capacity_bytes must be positive"):
        make_buffer(capacity_bytes=0)
    buffer = make_buffer(capacity_bytes=50)
    with pytest.raises(
        ValueError, match=r"capacity_bytes of 50 has room for 0 records .*, but 4 are needed"
    ):
        buffer.add(make_chunk("a", 0, 1))
    assert buffer.num_records == 0
    assert not buffer.storage.specs


def without(name: str) -> Columns:
    return {k: v for k, v in make_chunk("a", 10, 6).columns.items() if k != name}


BAD_COLUMNS: dict[str, tuple[Any, str]] = {
    "missing": (without(REWARD), "'reward'.*missing"),
    "unknown": (without("") | {"obs/x": np.zeros(6)}, "'obs/x'.*not there before"),
    "dtype": (without("") | {REWARD: np.zeros(6)}, "'reward' is float64.* but was float32"),
    "shape": (without("") | {ACTION: np.zeros((6, 3), np.float32)}, r"'action'.*\[3\].*\[2\]"),
    "count": (without("") | {REWARD: np.zeros(5, np.float32)}, "'reward' has 5 records"),
    "scalar": (without("") | {REWARD: np.float32(0)}, "'reward' must be an array"),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_failed_add_names_the_column_and_changes_nothing(case: str):
    columns, message = BAD_COLUMNS[case]
    buffer, untouched = make_buffer(capacity=12), make_buffer(capacity=12)
    for each in (buffer, untouched):
        each.add(make_chunk("a", 0, 10))
    with pytest.raises(ValueError, match=message):
        buffer.add(RecordChunk("a", 10, columns))
    assert buffer.metrics() == untouched.metrics()
    buffer.add(make_chunk("a", 10, 2))
    untouched.add(make_chunk("a", 10, 2))
    np.testing.assert_array_equal(
        buffer.sample(8).columns[REWARD], untouched.sample(8).columns[REWARD]
    )


def test_first_records_must_be_storable():
    objects = without("") | {REWARD: np.zeros(6, object)}
    with pytest.raises(ValueError, match="'reward' has dtype object"):
        make_buffer().add(RecordChunk("a", 0, objects))
    with pytest.raises(ValueError, match=r"'is_first' must be one bool.*missing"):
        make_buffer().add(RecordChunk("a", 0, without(IS_FIRST)))
    with pytest.raises(ValueError, match=r"'is_last' must be one bool.*int64"):
        make_buffer().add(RecordChunk("a", 0, without("") | {IS_LAST: np.zeros(6, np.int64)}))


def test_empty_chunk_changes_nothing():
    buffer = make_buffer()
    buffer.add(make_chunk("a", 0, 0))
    buffer.add(make_chunk("a", 0, 4))
    buffer.add(make_chunk("b", 9, 0))
    assert buffer.num_records == 4
    assert buffer.metrics()["num_segments"] == 1


def test_metrics_count_what_is_stored_and_what_ever_was():
    buffer = make_buffer(capacity=320)
    for start in range(0, 1000, 10):
        buffer.add(make_chunk("a", start, 10))
    buffer.sample(3)
    kept = np.array(stored_positions(buffer)["a"])
    metrics = buffer.metrics()
    assert all(type(value) is float for value in metrics.values())
    steps = np.count_nonzero(kept % EPISODE != EPISODE - 1)
    assert metrics["num_records"] == len(kept) == buffer.num_records
    assert metrics["num_env_steps_stored"] == steps
    assert metrics["num_episodes_stored"] == np.count_nonzero(kept % EPISODE == 0)
    assert metrics["num_bytes"] == buffer.num_bytes
    assert metrics["capacity_records"] == 320
    assert metrics["num_windows"] == len(kept) - 3
    assert metrics["num_env_steps_added_lifetime"] == 800
    assert metrics["num_env_steps_evicted_lifetime"] == 800 - steps
    assert metrics["num_episodes_added_lifetime"] == 200
    assert metrics["num_records_sampled_lifetime"] == 12
    assert "num_windows_queued" not in metrics


additions = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(1, 40),
        st.sampled_from([0, 0, 0, 0, 1, 17]),  # records lost before these
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(additions, st.integers(1, 12), st.integers(12, 200))
def test_every_row_is_a_slice_of_one_stream(
    adds: list[tuple[str, int, int]], length: int, capacity: int
):
    buffer = make_buffer(length=length, capacity=capacity)
    ends = dict.fromkeys("abc", 0)
    delivered = {stream: set[int]() for stream in "abc"}
    for stream, count, lost in adds:
        start = ends[stream] + lost
        buffer.add(make_chunk(stream, start, count))
        ends[stream] = start + count
        delivered[stream].update(range(start, start + count))
        assert buffer.num_records <= capacity
    stored = stored_positions(buffer)
    assert sum(map(len, stored.values())) == buffer.num_records
    possible = {
        (stream_number(stream), p)
        for stream, positions in stored.items()
        for p in positions
        if set(range(p, p + length)) <= set(positions)
    }
    assert buffer.num_windows == len(possible)
    if not buffer.can_sample:
        return
    rows = buffer.sample(32).columns
    for row in range(32):
        assert_is_slice_of_stream(rows, row)
        assert tuple(rows["obs/place"][row, 0].tolist()) in possible
    for stream, positions in stored.items():
        assert set(positions) <= delivered[stream]
