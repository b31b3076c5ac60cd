"""Replay in files serves what replay in memory serves, and takes no more room than it may."""

import contextlib
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import IS_FIRST, IS_LAST, Columns, RecordChunk
from rllib_dreamerv3.replay import ReplayBuffer, checkpoint, column_storage

IMAGE, LATENT, REWARD = "obs/image", "latent/h", "reward"


@pytest.fixture(params=["large columns", "all columns"])
def in_files(request, monkeypatch):
    """Which columns are in files: those that are worth it, or every single one."""
    if request.param == "all columns":
        monkeypatch.setattr(column_storage, "LEAST_FILE_BYTES", 1)


def records(rng: np.random.Generator, n: int) -> Columns:
    is_first = rng.random(n) < 0.1
    return {
        IMAGE: rng.integers(256, size=(n, 12, 12, 3), dtype=np.uint8),
        LATENT: rng.random((n, 100), dtype=np.float32),
        REWARD: rng.random(n, dtype=np.float32),
        IS_FIRST: is_first,
        IS_LAST: np.roll(is_first, -1),
    }


def make(directory: Path | None, **options) -> ReplayBuffer:
    options = {"length": 6, "context": 1, "online_queue": True, "capacity_records": 500} | options
    return ReplayBuffer(seed=0, directory=directory, **options)


def assert_same(one: ReplayBuffer, other: ReplayBuffer) -> None:
    assert one.metrics() == other.metrics()
    left, right = one.sample(8), other.sample(8)
    for name, column in left.columns.items():
        assert column.dtype == right.columns[name].dtype
        np.testing.assert_array_equal(column, right.columns[name])
    latents = {LATENT: left.columns[LATENT][:, 1:] + 1}
    one.write_back(left.windows, latents)
    other.write_back(right.windows, latents)


@pytest.mark.usefixtures("in_files")
def test_the_same_records_give_the_same_batches(tmp_path: Path):
    memory, disk = make(None), make(tmp_path)
    rng = np.random.default_rng(0)
    positions = [0, 0, 0]
    for step in range(300):
        stream = int(rng.integers(3))
        n = int(rng.integers(1, 20))
        if step % 40 == 39:
            positions[stream] += 3  # a gap
        columns = records(rng, n)
        for buffer in (memory, disk):
            buffer.add(RecordChunk(str(stream), positions[stream], columns))
        positions[stream] += n
        if memory.can_sample:
            assert_same(memory, disk)
    assert memory.num_records > 400


@pytest.mark.usefixtures("in_files")
@pytest.mark.parametrize("way", ["to disk", "from disk"])
def test_checkpoints_go_between_memory_and_disk(tmp_path: Path, way: str):
    memory, disk = make(None), make(tmp_path / "files")
    source, target = (memory, disk) if way == "to disk" else (disk, memory)
    rng = np.random.default_rng(1)
    # More than fits: stretches of the files are used again.
    for n in range(30):
        source.add(RecordChunk("a", 30 * n, records(rng, 30)))
        target.add(RecordChunk("b", 30 * n, records(rng, 30)))
    checkpoint.save(source, tmp_path / "checkpoint")
    checkpoint.load(target, tmp_path / "checkpoint")
    assert_same(source, target)


def test_what_the_disk_has_no_room_for_is_refused_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, target = make(None), make(tmp_path / "files")
    rng = np.random.default_rng(4)
    source.add(RecordChunk("a", 0, records(rng, 480)))
    checkpoint.save(source, tmp_path / "checkpoint")
    need = 480 * (12 * 12 * 3 + 400)
    monkeypatch.setattr(column_storage, "free_bytes", lambda _: need - 1)
    with pytest.raises(CheckpointError, match=r"480 records need .* GB in .*/files.* are free"):
        checkpoint.load(target, tmp_path / "checkpoint")
    assert target.num_records == 0
    monkeypatch.setattr(column_storage, "free_bytes", lambda _: need)
    checkpoint.load(target, tmp_path / "checkpoint")
    # What its files hold is overwritten.
    monkeypatch.setattr(column_storage, "free_bytes", lambda _: 0)
    checkpoint.load(target, tmp_path / "checkpoint")
    assert_same(source, target)


def test_a_disk_that_fails_while_replay_is_restored_leaves_none_instead_of_half(tmp_path: Path):
    source, target = make(None), make(tmp_path / "files")
    rng = np.random.default_rng(5)
    source.add(RecordChunk("a", 0, records(rng, 480)))
    checkpoint.save(source, tmp_path / "checkpoint")
    with (
        no_large_files(),
        pytest.raises(CheckpointError, match=r"cannot be written to .*Replay is empty now"),
    ):
        checkpoint.load(target, tmp_path / "checkpoint")
    assert target.num_records == 0
    assert not target.can_sample


@contextlib.contextmanager
def no_large_files():
    """Lets writing fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def open_files(directory: Path) -> list[int]:
    """Bytes of the files of this process that are in a directory."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(descriptor).startswith(str(directory)):
                found.append(descriptor.stat().st_size)
        except OSError:
            continue
    return found


def test_files_stay_within_the_capacity_and_end_with_the_buffer(tmp_path: Path):
    buffer = make(tmp_path)
    rng = np.random.default_rng(2)
    for n in range(100):
        buffer.add(RecordChunk("a", 50 * n, records(rng, 50)))
    assert buffer.num_records <= 500
    sizes = open_files(tmp_path)
    assert len(sizes) == 2
    assert sum(sizes) <= 1.1 * 500 * (12 * 12 * 3 + 400)
    assert os.listdir(tmp_path) == []
    del buffer
    assert open_files(tmp_path) == []


def test_a_write_that_fails_says_what_to_do(tmp_path: Path):
    buffer = make(tmp_path, capacity_records=5000)
    rng = np.random.default_rng(3)

    def fill() -> None:
        for n in range(100):
            buffer.add(RecordChunk("a", 50 * n, records(rng, 50)))

    with (
        no_large_files(),
        pytest.raises(OSError, match=r"Replay cannot be written to .* capacity_bytes"),
    ):
        fill()
    # What is there is served still.
    assert buffer.sample(4).columns[IMAGE].shape == (4, 7, 12, 12, 3)
