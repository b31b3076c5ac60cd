"""Speed of replay: adding records one at a time, sampling training batches, writing latents back.

Sampling is memory traffic, so it is set against the bandwidth of a plain copy of as many bytes,
measured in the same process. One sampled byte, like one copied byte, counts once.

    python benchmarks/replay.py --records 100000 --image-size 64 --json
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rllib_dreamerv3.records import (
    ACTION,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    OBS_PREFIX,
    REWARD,
    Columns,
    RecordChunk,
)
from rllib_dreamerv3.replay import ReplayBuffer

BATCH, LENGTH, REPEATS = 16, 64, 50
NUM_ACTIONS = 6
# The stored state of the smallest model of the 2025 revision.
DETERMINISTIC, CATEGORICALS = 512, 32


def make_records(rng: np.random.Generator, num_records: int, image_size: int) -> Columns:
    """Random records of an image environment, ``[n, ...]`` each."""
    is_first = rng.random(num_records) < 0.01
    return {
        OBS_PREFIX + "image": rng.integers(
            256, size=(num_records, image_size, image_size, 3), dtype=np.uint8
        ),
        REWARD: rng.random(num_records, dtype=np.float32),
        IS_FIRST: is_first,
        IS_LAST: np.roll(is_first, -1),
        IS_TERMINAL: np.zeros(num_records, np.bool_),
        ACTION: rng.random((num_records, NUM_ACTIONS), dtype=np.float32),
    }


def median_seconds(work: Callable[[], object]) -> float:
    """Median duration of a call, after one to warm up."""
    work()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def resident_gb() -> float:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise RuntimeError("VmRSS is not in /proc/self/status")


def write_back_seconds(num_records: int, streams: int, directory: Path | None) -> float:
    """Median time to replace the latents of a batch of rows, as after an update."""
    buffer = ReplayBuffer(
        length=LENGTH, context=1, capacity_records=num_records, directory=directory, seed=0
    )
    latents: Columns = {
        "latent/h": np.ones((num_records, DETERMINISTIC), np.float32),
        "latent/index": np.ones((num_records, CATEGORICALS), np.uint8),
    }
    others = make_records(np.random.default_rng(0), num_records, image_size=1)
    share = num_records // streams
    for stream in range(streams):
        records = slice(stream * share, (stream + 1) * share)
        columns = {name: c[records] for name, c in {**others, **latents}.items()}
        buffer.add(RecordChunk(f"env{stream}", 0, columns))
    fresh = {name: np.stack([c[:LENGTH]] * BATCH) for name, c in latents.items()}
    batches = iter([buffer.sample(BATCH).windows for _ in range(REPEATS + 1)])
    return median_seconds(lambda: buffer.write_back(next(batches), fresh))


def measure(
    num_records: int, image_size: int, streams: int, directory: Path | None
) -> dict[str, float]:
    """Fill a buffer record by record and sample from it.

    Args:
        num_records: Records to add; the buffer holds all of them.
        image_size: Height and width of the observed images, in pixels.
        streams: Streams that take turns in delivering one record each.
        directory: Where images are kept in files; None to keep them in memory.

    Returns:
        Name -> number; the unit is part of the name.
    """
    rng = np.random.default_rng(0)
    pool = make_records(rng, 1024, image_size)
    buffer = ReplayBuffer(length=LENGTH, capacity_records=num_records, directory=directory, seed=0)
    records = [{name: c[i : i + 1] for name, c in pool.items()} for i in range(1024)]
    began = time.perf_counter()
    for i in range(num_records):
        buffer.add(RecordChunk(f"env{i % streams}", i // streams, records[i % 1024]))
    add_seconds = time.perf_counter() - began
    if directory is not None:
        # What was just written is still on its way to the disk, which slows reading down.
        os.sync()

    sample_seconds = median_seconds(lambda: buffer.sample(BATCH))
    batch_bytes = sum(c.nbytes for c in buffer.sample(BATCH).columns.values())
    # Like sampling, the plain copy writes to new memory, and reads what it has not just read.
    source = np.ones((16, batch_bytes), np.uint8)
    turn = iter(range(10**9))
    copy_seconds = median_seconds(lambda: source[next(turn) % len(source)].copy())
    return {
        "records": num_records,
        "image_size": image_size,
        "streams": streams,
        "stored_gb": buffer.num_bytes / 1e9,
        "add_records_per_s": num_records / add_seconds,
        "add_us_per_record": add_seconds / num_records * 1e6,
        "sample_ms": sample_seconds * 1e3,
        "sample_gb_per_s": batch_bytes / sample_seconds / 1e9,
        "copy_gb_per_s": batch_bytes / copy_seconds / 1e9,
        "sample_to_copy_ratio": copy_seconds / sample_seconds,
        "resident_gb": resident_gb(),
        "write_back_us_per_row": write_back_seconds(min(num_records, 20_000), streams, directory)
        / BATCH
        * 1e6,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=100_000, help="records to store")
    parser.add_argument("--image-size", type=int, default=64, help="height and width, pixels")
    parser.add_argument("--streams", type=int, default=16, help="environments that take turns")
    parser.add_argument("--disk", type=Path, metavar="DIR", help="keep images in files there")
    parser.add_argument("--json", action="store_true", help="last line: the numbers as JSON")
    options = parser.parse_args()
    if options.streams < 1 or options.records < LENGTH * options.streams:
        parser.error(f"--records must be at least {LENGTH} for each of the --streams")
    numbers = measure(options.records, options.image_size, options.streams, options.disk)
    for name, value in numbers.items():
        print(f"{name:<22}{value:>14,.2f}")
    if options.json:
        print(json.dumps(numbers))


if __name__ == "__main__":
    main()
