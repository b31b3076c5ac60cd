"""Memory stays close to the bytes of the records."""

import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from rllib_dreamerv3.records import (
    ACTION,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    REWARD,
    Columns,
    RecordChunk,
)
from rllib_dreamerv3.replay import ReplayBuffer, checkpoint

RECORD: Columns = {
    "obs/image": np.ones((1, 64, 64, 3), np.uint8),
    REWARD: np.ones(1, np.float32),
    IS_FIRST: np.ones(1, np.bool_),
    IS_LAST: np.ones(1, np.bool_),
    IS_TERMINAL: np.ones(1, np.bool_),
    ACTION: np.ones((1, 6), np.float32),
}


def fill(buffer: ReplayBuffer, streams: int, num_records: int) -> None:
    """Adds records one at a time, the streams taking turns."""
    for i in range(num_records):
        buffer.add(RecordChunk(f"env{i % streams}", i // streams, RECORD))


def test_memory_is_allocated_for_the_records_only():
    tracemalloc.start()
    try:
        # Nothing is sampled, so that the queue grows as long as it may.
        buffer = ReplayBuffer(length=64, context=1, online_queue=True, capacity_records=4000)
        before, _ = tracemalloc.get_traced_memory()
        fill(buffer, streams=2, num_records=9000)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    full = 4000 * buffer.storage.record_bytes
    assert 0.97 * full < buffer.num_bytes <= full
    assert after - before < 1.05 * buffer.num_bytes
    assert peak - before < 1.05 * full


def test_saving_and_loading_need_no_second_copy(tmp_path: Path):
    buffer = ReplayBuffer(length=64, capacity_records=4000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        fill(buffer, streams=2, num_records=4000)
        buffer.sample(1)
        checkpoint.save(buffer, tmp_path / "replay")
        checkpoint.load(buffer, tmp_path / "replay")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert buffer.num_records == 4000
    assert peak - before < 1.08 * buffer.num_bytes


def resident_bytes() -> int:
    """Memory of this process that was really touched."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def measure_many_streams() -> None:
    buffer = ReplayBuffer(length=64, capacity_records=100_000)
    fill(buffer, streams=1, num_records=1)
    before = resident_bytes() - buffer.num_bytes
    fill(buffer, streams=300, num_records=6000)
    sys.stdout.write(f"{(resident_bytes() - before) / buffer.num_bytes}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_chunks_that_are_almost_empty_cost_nothing():
    # A separate process: memory that other tests have freed would hide allocations here.
    code = f"import runpy; runpy.run_path({__file__!r})['measure_many_streams']()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    ratio = float(done.stdout.split()[-1])
    assert 0.95 < ratio < 1.05, f"resident memory is {ratio:.3f} times the bytes of the records"
