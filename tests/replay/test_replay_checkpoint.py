"""Replay survives on disk bit by bit, and damaged checkpoints change nothing."""

import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import (
    ACTION,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    MODEL_LOSS,
    REWARD,
    RecordChunk,
)
from rllib_dreamerv3.replay import ReplayBuffer, checkpoint


def make_chunk(stream: str, start: int, num_records: int, action_width: int = 2) -> RecordChunk:
    position = np.arange(start, start + num_records)
    image = (position[:, None, None] + np.arange(6).reshape(2, 3)) % 256
    return RecordChunk(
        stream,
        start,
        {
            "obs/cameras/front": image.astype(np.uint8),
            REWARD: position.astype(np.float32) + 1000 * len(stream),
            IS_FIRST: position % 5 == 0,
            IS_LAST: position % 5 == 4,
            IS_TERMINAL: position % 10 == 4,
            ACTION: np.full((num_records, action_width), 0.5, np.float32),
        },
    )


def make_buffer(
    capacity: int = 320, length: int = 4, seed: int = 0, **options: Any
) -> ReplayBuffer:
    return ReplayBuffer(length=length, capacity_records=capacity, seed=seed, **options)


def filled_buffer(**options: Any) -> ReplayBuffer:
    """Several streams with gaps, evictions, and draws already made."""
    buffer = make_buffer(**options)
    for start in range(0, 150, 6):
        buffer.add(make_chunk("a", start, 6))
        buffer.add(make_chunk("bb", start + (start > 60) * 100, 6))
    buffer.add(make_chunk("ccc", 3, 40))
    buffer.add(make_chunk("a", 150, 90))
    buffer.sample(5)
    return buffer


def assert_same_future(one: ReplayBuffer, other: ReplayBuffer) -> None:
    """Both give the same batches now, and still do after the same additions."""
    assert one.metrics() == other.metrics()
    for i in range(6):
        expected, found = one.sample(16).columns, other.sample(16).columns
        assert expected.keys() == found.keys()
        for name in expected:
            assert expected[name].dtype == found[name].dtype
            np.testing.assert_array_equal(expected[name], found[name], err_msg=name)
        for buffer in (one, other):
            buffer.add(make_chunk("a", 240 + 30 * i, 30))
            buffer.add(make_chunk("ccc", 43 + 30 * i, 30))
            buffer.add(make_chunk("new", 0, 7))
    assert one.metrics() == other.metrics()


def test_restored_buffer_goes_on_as_the_saved_one(tmp_path: Path):
    saved = filled_buffer()
    assert saved.metrics()["num_env_steps_evicted_lifetime"] > 0
    checkpoint.save(saved, tmp_path / "deep" / "replay")
    restored = make_buffer(seed=99)
    checkpoint.load(restored, str(tmp_path / "deep" / "replay"))
    assert_same_future(saved, restored)


def test_a_checkpoint_without_the_range_of_rewards_begins_a_new_one(tmp_path: Path):
    saved, restored = filled_buffer(), make_buffer()
    checkpoint.save(saved, tmp_path / "replay")
    index = tmp_path / "replay" / "index.json"
    content = json.loads(index.read_text())
    assert content.pop("rewards") == {"reward_min": 1001.0, "reward_max": 3042.0}
    index.write_text(json.dumps(content))
    checkpoint.load(restored, tmp_path / "replay")
    assert "reward_min" not in restored.metrics()
    restored.add(make_chunk("a", 240, 2))
    assert restored.metrics()["reward_min"] == 1241


@pytest.mark.parametrize("queue", [False, True])
def test_options_of_rows_survive_too(tmp_path: Path, queue: bool):
    options = {"context": 1, "online_queue": queue}
    saved = filled_buffer(**options)
    if queue:
        waiting = saved.metrics()["num_windows_queued"]
        assert waiting > 16, "some rows must come from the queue now, and some still wait"
    checkpoint.save(saved, tmp_path / "replay")
    restored = make_buffer(seed=99, **options)
    checkpoint.load(restored, tmp_path / "replay")
    assert_same_future(saved, restored)


MIXTURES = (
    {"curious": 1.0},
    {"recent": 1.0},
    {"uniform": 0.25, "curious": 0.5, "recent": 0.25},
)


def learn(buffer: ReplayBuffer, updates: int) -> list[tuple[str, int]]:
    """Draw sequences and return losses of them; return what was drawn."""
    drawn = []
    for _ in range(updates):
        windows = buffer.sample(8).windows
        drawn += [(window.segment.stream, window.start) for window in windows]
        losses = [[(start * 7 + t) % 50 for t in range(buffer.length)] for _, start in windows]
        buffer.write_back(windows, {MODEL_LOSS: np.array(losses, np.float32)})
    return drawn


@pytest.mark.parametrize("sampling", MIXTURES, ids=str)
@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_selectors_go_on_as_the_saved_ones(
    tmp_path: Path, storage: str, sampling: dict[str, float]
):
    options: dict[str, Any] = {"context": 1, "online_queue": True, "sampling": sampling}
    if storage == "disk":
        options["directory"] = tmp_path
    saved = filled_buffer(**options)
    learn(saved, 60)
    saved.add(make_chunk("a", 240, 50))
    checkpoint.save(saved, tmp_path / "replay")
    restored = make_buffer(seed=99, **options)
    checkpoint.load(restored, tmp_path / "replay")
    for i in range(12):
        assert learn(restored, 5) == learn(saved, 5)
        for buffer in (saved, restored):
            buffer.add(make_chunk("a", 290 + 25 * i, 25))
            buffer.add(make_chunk("ccc", 43 + 25 * i, 25))
    assert saved.metrics() == restored.metrics()
    checkpoint.save(restored, tmp_path / "replay")
    assert {"selector%2Fvisits.npy"} <= {x.name for x in (tmp_path / "replay").iterdir()} or (
        "curious" not in sampling
    )


@pytest.mark.parametrize("length", [4, 9])
def test_sequences_count_as_new_for_a_selector_that_has_not_seen_them(tmp_path: Path, length: int):
    """Of a run that drew uniformly, or sequences of another length."""
    saved = filled_buffer(length=length, sampling=MIXTURES[0] if length == 9 else MIXTURES[1])
    learn(saved, 20)
    checkpoint.save(saved, tmp_path / "replay")
    restored = make_buffer(sampling=MIXTURES[2])
    learn(filled_buffer(sampling=MIXTURES[2]), 3)
    checkpoint.load(restored, tmp_path / "replay")
    state = restored.selector.state(restored.storage.all_addresses())
    assert set(state["weight"].tolist()) == {0, 100_000 * 2**16}
    assert np.count_nonzero(state["weight"]) == restored.num_windows
    assert not state["visits"].any()
    if length == 9:
        # By the chunks in which they are, as nothing else is known.
        arrival = state["arrival"][state["arrival"] >= 0]
        assert arrival.tolist() == list(range(restored.num_windows))
    learn(restored, 3)


def test_uniform_ignores_what_other_selectors_kept(tmp_path: Path):
    saved = filled_buffer(sampling=MIXTURES[2])
    learn(saved, 5)
    checkpoint.save(saved, tmp_path / "replay")
    restored, expected = make_buffer(), filled_buffer()
    checkpoint.load(restored, tmp_path / "replay")
    expected.rng.bit_generator.state = restored.rng.bit_generator.state
    assert learn(restored, 5) == learn(expected, 5)
    checkpoint.save(restored, tmp_path / "replay")
    assert not [x for x in (tmp_path / "replay").iterdir() if "selector" in x.name]


@pytest.mark.parametrize("capacity", [50, 200, 3200])
@pytest.mark.parametrize("sampling", MIXTURES, ids=str)
def test_another_capacity_keeps_what_was_kept_about_its_records(
    tmp_path: Path, sampling: dict[str, float], capacity: int
):
    saved = filled_buffer(sampling=sampling)
    learn(saved, 60)
    checkpoint.save(saved, tmp_path / "replay")
    restored = make_buffer(capacity=capacity, sampling=sampling)
    checkpoint.load(restored, tmp_path / "replay")
    kept, before = (
        {
            (w.segment.stream, w.start): values
            for w, *values in zip(
                buffer.storage.windows(addresses),
                *buffer.selector.state(addresses).values(),
                strict=True,
            )
        }
        for buffer in (restored, saved)
        for addresses in (buffer.storage.all_addresses(),)
    )
    if "curious" in sampling:
        assert all(before[place][0] == values[0] for place, values in kept.items() if values[0])
    else:
        order = sorted((place for place in kept if kept[place][0] >= 0), key=kept.__getitem__)
        assert order == sorted(order, key=before.__getitem__)
    learn(restored, 20)


@pytest.mark.parametrize("sampling", MIXTURES, ids=str)
def test_numbers_that_cannot_be_draw_nothing_that_is_not_there(
    tmp_path: Path, sampling: dict[str, float]
):
    saved = filled_buffer(sampling=sampling)
    learn(saved, 5)
    checkpoint.save(saved, tmp_path / "replay")
    for path in (tmp_path / "replay").glob("selector*"):
        column = np.load(path)
        np.save(path, np.random.default_rng(0).permutation(column) * column.dtype.type(7) - 3)
    restored = make_buffer(sampling=sampling)
    checkpoint.load(restored, tmp_path / "replay")
    learn(restored, 20)
    next((tmp_path / "replay").glob("selector*")).unlink()
    with pytest.raises(CheckpointError, match=r"selector.* is missing: the checkpoint is incom"):
        checkpoint.check(restored, tmp_path / "replay")


def test_replaced_values_survive(tmp_path: Path):
    saved = filled_buffer()
    rows = saved.sample(9)
    saved.write_back(rows.windows, {ACTION: -rows.columns[ACTION]})
    checkpoint.save(saved, tmp_path / "replay")
    restored = make_buffer(seed=99)
    checkpoint.load(restored, tmp_path / "replay")
    stored = [chunk.columns[ACTION] for _, chunk in restored.storage.chunks_oldest_first()]
    assert any((actions == -0.5).any() for actions in stored)
    assert_same_future(saved, restored)


def test_segments_count_on_where_they_began(tmp_path: Path):
    # Origin 2, rows of 5 records: queued are 3..7, 8..12, 13..17.
    saved = make_buffer(context=1, online_queue=True)
    saved.add(make_chunk("a", 2, 9))
    checkpoint.save(saved, tmp_path / "replay")
    restored = make_buffer(context=1, online_queue=True)
    checkpoint.load(restored, tmp_path / "replay")
    restored.add(make_chunk("a", 11, 7))
    assert [w.start for w in restored.sample(3).windows] == [3, 8, 13]


def test_queued_rows_of_another_length_are_not_served(tmp_path: Path):
    saved = make_buffer(context=1, online_queue=True)
    saved.add(make_chunk("a", 0, 30))
    assert saved.metrics()["num_windows_queued"] == 5
    checkpoint.save(saved, tmp_path / "replay")
    longer = make_buffer(length=9, context=1, online_queue=True)
    checkpoint.load(longer, tmp_path / "replay")
    assert longer.metrics()["num_windows_queued"] == 0
    longer.add(make_chunk("a", 30, 1))
    assert longer.sample(1).windows[0].start == 21
    without = make_buffer(context=1)
    checkpoint.load(without, tmp_path / "replay")
    assert without.num_windows == 26


def test_queued_rows_that_a_smaller_capacity_drops_are_not_served(tmp_path: Path):
    saved = make_buffer(context=1, online_queue=True)
    saved.add(make_chunk("a", 0, 200))
    checkpoint.save(saved, tmp_path / "replay")
    smaller = make_buffer(capacity=50, context=1, online_queue=True)
    checkpoint.load(smaller, tmp_path / "replay")
    first = next(start for start in range(1, 200, 5) if start >= 200 - smaller.num_records)
    assert first > 100
    waiting = int(smaller.metrics()["num_windows_queued"])
    assert [w.start for w in smaller.sample(waiting).windows] == list(range(first, 196, 5))


def test_load_replaces_what_was_there(tmp_path: Path):
    saved, live = filled_buffer(), make_buffer(seed=7)
    checkpoint.save(saved, tmp_path / "replay")
    live.add(make_chunk("a", 0, 200))
    live.add(make_chunk("dddd", 0, 90))
    checkpoint.load(live, tmp_path / "replay")
    assert_same_future(saved, live)


def test_empty_buffer_round_trip(tmp_path: Path):
    checkpoint.save(make_buffer(), tmp_path / "replay")
    live = filled_buffer(capacity_bytes=100_000)
    checkpoint.load(live, tmp_path / "replay")
    assert live.num_records == 0
    assert not live.can_sample
    checkpoint.save(live, tmp_path / "again")
    checkpoint.load(live, tmp_path / "again")
    live.add(make_chunk("a", 0, 4))
    assert live.num_windows == 1


def test_directory_holds_plain_arrays_only(tmp_path: Path):
    buffer = filled_buffer()
    checkpoint.save(buffer, tmp_path / "replay")
    assert {p.name for p in tmp_path.iterdir()} == {"replay"}
    files = sorted(p.name for p in (tmp_path / "replay").iterdir())
    columns = ["action", "is_first", "is_last", "is_terminal", "obs%2Fcameras%2Ffront", "reward"]
    assert files == sorted([*(c + ".npy" for c in columns), "index.json"])
    reward = np.load(tmp_path / "replay" / "reward.npy", allow_pickle=False)
    assert reward.shape == (buffer.num_records,)


def test_stream_goes_on_only_at_its_position(tmp_path: Path):
    saved = make_buffer()
    saved.add(make_chunk("a", 0, 4))
    checkpoint.save(saved, tmp_path / "replay")
    for start, windows in ((4, 4), (5, 1), (0, 1), (3, 1)):
        buffer = make_buffer()
        checkpoint.load(buffer, tmp_path / "replay")
        buffer.add(make_chunk("a", start, 3))
        assert buffer.num_windows == windows, start


@pytest.mark.parametrize("capacity", [4, 50, 200])
def test_smaller_capacity_keeps_the_newest(tmp_path: Path, capacity: int):
    saved = make_buffer(capacity=3200)
    saved.add(make_chunk("a", 0, 900))
    saved.add(make_chunk("bb", 0, 400))
    checkpoint.save(saved, tmp_path / "replay")
    live = make_buffer(capacity=capacity)
    checkpoint.load(live, tmp_path / "replay")
    assert capacity - live.storage.chunk_records < live.num_records <= capacity
    (segment,) = live.storage.segments
    assert (segment.stream, segment.end) == ("bb", 400)
    rows = live.sample(50).columns[REWARD]
    assert rows.min() >= 2000 + 400 - capacity
    np.testing.assert_array_equal(np.diff(rows, axis=1), 1)


def test_larger_capacity_and_other_length_load_everything(tmp_path: Path):
    saved = filled_buffer()
    checkpoint.save(saved, tmp_path / "replay")
    live = make_buffer(capacity=100_000, length=9)
    checkpoint.load(live, tmp_path / "replay")
    assert live.num_records == saved.num_records
    assert len(live.storage.segments) == len(saved.storage.segments)
    assert (np.diff(live.sample(50).columns[REWARD], axis=1) == 1).all()


def test_saving_again_replaces_the_older_checkpoint(tmp_path: Path):
    buffer = filled_buffer()
    (tmp_path / "replay").mkdir()
    checkpoint.save(buffer, tmp_path / "replay")
    buffer.add(make_chunk("a", 240, 20))
    checkpoint.save(buffer, tmp_path / "replay")
    assert {p.name for p in tmp_path.iterdir()} == {"replay"}
    restored = make_buffer()
    checkpoint.load(restored, tmp_path / "replay")
    assert restored.metrics() == buffer.metrics()


def test_failed_save_leaves_the_older_checkpoint(tmp_path: Path):
    buffer = filled_buffer()
    checkpoint.save(buffer, tmp_path / "replay")
    expected = buffer.metrics()
    buffer.add(make_chunk("a", 240, 20))

    # No file may grow beyond 700 bytes: the write of some column breaks off, as on a full disk.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, hard))
    try:
        with pytest.raises(OSError):
            checkpoint.save(buffer, tmp_path / "replay")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p.name for p in tmp_path.iterdir()} == {"replay"}
    restored = make_buffer()
    checkpoint.load(restored, tmp_path / "replay")
    assert restored.metrics() == expected


def test_files_of_others_are_kept(tmp_path: Path):
    buffer = filled_buffer()
    checkpoint.save(buffer, tmp_path)
    (tmp_path / "notes.npy").write_text("mine")
    checkpoint.save(buffer, tmp_path)
    assert (tmp_path / "notes.npy").read_text() == "mine"


@pytest.mark.parametrize("content", ["notes.txt", "index.json", "reward.npy"])
@pytest.mark.parametrize("text", ["{}", '{"see": "rllib_dreamerv3.replay"}'])
def test_foreign_directory_is_not_overwritten(tmp_path: Path, content: str, text: str):
    (tmp_path / content).write_text(text)
    with pytest.raises(CheckpointError, match="not overwritten"):
        checkpoint.save(filled_buffer(), tmp_path)
    assert (tmp_path / content).read_text() == text
    with pytest.raises(CheckpointError, match="is a file"):
        checkpoint.save(filled_buffer(), tmp_path / content)


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / checkpoint.INDEX
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def edits(**entries: Any) -> Callable[[Path], None]:
    return lambda d: edit(d, lambda m: m.update(entries))


def edits_deep(*keys: Any) -> Callable[[Path], None]:
    """Replaces the value under a chain of keys, whose last element is the new value."""

    def change(index: dict[str, Any]) -> None:
        *path, last, value = keys
        place: Any = index
        for key in path:
            place = place[key]
        place[last] = value

    return lambda d: edit(d, change)


def renamed(name: str) -> Callable[[Path], None]:
    """Gives the rewards another name."""
    return lambda d: edit(d, lambda m: m["columns"].update({name: m["columns"].pop("reward")}))


def put(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        (directory / name).unlink()
        make(directory / name)

    return change


def write_nested_header(path: Path) -> None:
    header = b"(" * 9000 + b"\n"
    path.write_bytes(b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no directory": (shutil.rmtree, "There is no directory"),
    "no index": (lambda d: (d / "index.json").unlink(), "it has no index.json"),
    "half a index": (lambda d: truncate(d / "index.json"), "not valid JSON"),
    "binary index": (lambda d: (d / "index.json").write_bytes(b"\xff\xfe"), "not valid JSON"),
    "other JSON": (lambda d: (d / "index.json").write_text("[1]"), "does not describe"),
    "other format": (edits(format="x"), "does not describe a replay checkpoint"),
    "newer version": (edits(format_version=3), "format version 3; .* reads 2"),
    "no entry": (lambda d: edit(d, lambda m: m.pop("chunks")), "entry 'chunks' is missing"),
    "column gone": (lambda d: (d / "reward.npy").unlink(), "reward.npy is missing"),
    "column cut": (lambda d: truncate(d / "reward.npy"), "reward.npy is damaged"),
    "column empty": (lambda d: (d / "action.npy").write_bytes(b""), "action.npy is damaged"),
    "column pickled": (
        lambda d: np.save(d / "reward.npy", np.array([{}], object), allow_pickle=True),
        "reward.npy is damaged",
    ),
    "column zipped": (
        lambda d: [np.savez(d / "x", a=1), (d / "x.npz").rename(d / "reward.npy")],  # type: ignore[func-returns-value]
        "reward.npy is damaged: it is not an array file",
    ),
    "column shape": (
        lambda d: np.save(d / "reward.npy", np.zeros(3, np.float32)),
        r"reward.npy is damaged: it holds float32\[3\] where index.json says float32\[3",
    ),
    "column dtype": (
        lambda d: np.save(d / "reward.npy", np.load(d / "reward.npy").astype(np.float64)),
        "reward.npy is damaged: it holds float64",
    ),
    "object dtype": (edits_deep("columns", "reward", "dtype", "|O"), "'reward' is object"),
    "odd dtype": (edits_deep("columns", "reward", "dtype", "zz"), "index.json is damaged"),
    "no dtype": (edits_deep("columns", "reward", "dtype", None), "index.json is damaged"),
    "odd shape": (edits_deep("columns", "reward", "shape", [-1]), "index.json is damaged"),
    "no columns": (edits(columns={}), "records but no columns"),
    "columns list": (edits(columns=[]), "index.json is damaged"),
    "count": (edits(num_records=1), "not 1"),
    "no segments": (edits(segments=[]), "do not belong to its segments"),
    "odd stream": (edits_deep("segments", 0, [7, 0, 0]), "7 is not a name"),
    "odd start": (edits_deep("segments", 0, ["a", 0, -3]), "is -3, not a count"),
    "odd origin": (edits_deep("segments", 0, ["a", 9999, 0]), "before its own origin"),
    "odd chunk": (edits_deep("chunks", 0, [0]), "index.json is damaged"),
    "empty chunk": (
        lambda d: edit(d, lambda m: m["chunks"].append([0, 0])),
        "chunk without records",
    ),
    "no queue": (edits(online_queue=None), "index.json is damaged"),
    "queue without segment": (edits_deep("online_queue", "rows", [[9, 0]]), "does not belong"),
    "queue before the records": (edits_deep("online_queue", "rows", [[0, 0]]), "missing records"),
    "queue after the records": (edits_deep("online_queue", "rows", [[0, 237]]), "missing records"),
    "counters": (edits(lifetime={}), "lifetime counters"),
    "half a range": (edits(rewards={"reward_min": 0}), "range of rewards"),
    "odd range": (edits(rewards={"reward_min": 0, "reward_max": "x"}), "index.json is damaged"),
    "other generator": (edits_deep("rng", "bit_generator", "MT19937"), "index.json is damaged"),
    "generator state": (edits_deep("rng", "state", {"state": "x", "inc": 1}), "is damaged"),
    "huge state": (edits_deep("rng", "state", "state", 2**200), "index.json is damaged"),
    "no generator": (edits(rng=None), "index.json is damaged"),
    "nested index": (
        lambda d: (d / "index.json").write_text("[" * 100_000),
        "not valid JSON .it is nested too deeply",
    ),
    "infinite range": (
        edits(rewards={"reward_min": 0, "reward_max": float("inf")}),
        "Infinity is not a finite number",
    ),
    "column named by a surrogate": (renamed("\ud800"), "index.json is damaged"),
    "column is a pipe": (put("reward.npy", os.mkfifo), "reward.npy is damaged: .*regular file"),
    "column never ends": (
        put("reward.npy", lambda path: path.symlink_to("/dev/zero")),
        "reward.npy is damaged: .*regular file",
    ),
    "column is a directory": (put("reward.npy", Path.mkdir), "reward.npy is damaged"),
    "nested header": (put("reward.npy", write_nested_header), "reward.npy is damaged"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path: Path, case: str):
    damage, message = DAMAGES[case]
    checkpoint.save(filled_buffer(), tmp_path / "replay")
    damage(tmp_path / "replay")
    live, untouched = filled_buffer(seed=3), filled_buffer(seed=3)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(live, tmp_path / "replay")
    assert_same_future(untouched, live)
    if "dtype" not in case:
        with pytest.raises(CheckpointError, match=message):
            checkpoint.load(make_buffer(), tmp_path / "replay")


def test_object_dtype_is_refused_by_an_empty_buffer(tmp_path: Path):
    checkpoint.save(filled_buffer(), tmp_path / "replay")
    edits_deep("columns", "reward", "dtype", "|O")(tmp_path / "replay")
    with pytest.raises(CheckpointError, match="'reward' has dtype object"):
        checkpoint.load(make_buffer(), tmp_path / "replay")


def test_column_of_a_name_too_long_for_a_file_is_refused_by_an_empty_buffer(tmp_path: Path):
    checkpoint.save(filled_buffer(), tmp_path / "replay")
    renamed("x" * 300)(tmp_path / "replay")
    with pytest.raises(CheckpointError, match=r"is damaged: .*File name too long"):
        checkpoint.load(make_buffer(), tmp_path / "replay")


def test_columns_that_do_not_fit_are_refused(tmp_path: Path):
    checkpoint.save(filled_buffer(), tmp_path / "replay")
    live, untouched = make_buffer(), make_buffer()
    for buffer in (live, untouched):
        buffer.add(make_chunk("a", 0, 30, action_width=3))
    with pytest.raises(CheckpointError, match=r"'action' is float32\[2\] but was float32\[3\]"):
        checkpoint.load(live, tmp_path / "replay")
    np.testing.assert_array_equal(
        live.sample(9).columns[REWARD], untouched.sample(9).columns[REWARD]
    )


def test_byte_capacity_below_one_row_is_refused(tmp_path: Path):
    checkpoint.save(filled_buffer(), tmp_path / "replay")
    live = make_buffer(capacity_bytes=20)
    with pytest.raises(CheckpointError, match="capacity_bytes of 20 has room for 0 records"):
        checkpoint.load(live, tmp_path / "replay")
    assert live.num_records == 0
    assert not live.storage.specs
