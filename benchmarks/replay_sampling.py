"""Time of drawing training batches by curiosity, recency or a mixture, in turns with uniform draws.

All ways draw from the same records, and losses of every batch are written back, as an update does.

    python benchmarks/replay_sampling.py --records 1000000 --image-size 64
"""

import argparse
import json
import statistics
import time
from collections import defaultdict

import numpy as np
from replay import BATCH, LENGTH, make_records

from rllib_dreamerv3.records import MODEL_LOSS, RecordChunk
from rllib_dreamerv3.replay import ReplayBuffer
from rllib_dreamerv3.replay.selectors import make_selector
from rllib_dreamerv3.replay.start_positions import StartPositions

WAYS = {
    "uniform": {"uniform": 1.0},
    "curious": {"curious": 1.0},
    "recent": {"recent": 1.0},
    "half curious": {"uniform": 0.5, "curious": 0.5},
}
# Records of a call of `add`.
FRAGMENT = 256


def filled(num_records: int, image_size: int, streams: int) -> ReplayBuffer:
    """A buffer with records of streams that take turns; images of size 0 are left out."""
    pool = make_records(np.random.default_rng(0), FRAGMENT, max(1, image_size))
    if not image_size:
        pool["obs/numbers"] = np.ones((FRAGMENT, 9), np.float32)
        del pool["obs/image"]
    buffer = ReplayBuffer(length=LENGTH, capacity_records=num_records, seed=0)
    for i in range(num_records // FRAGMENT):
        turn, stream = divmod(i, streams)
        buffer.add(RecordChunk(f"env{stream}", turn * FRAGMENT, pool))
    return buffer


def measure(buffer: ReplayBuffer, rounds: int) -> dict[str, dict[str, float]]:
    """Draw a batch in each way, and write its losses back, in turns.

    Returns:
        Way -> median CPU microseconds of `sample` and `write_back`, and their sum relative to that
        of uniform draws of the same round (median).
    """
    addresses, selectors = buffer.storage.all_addresses(), {}
    for way, fractions in WAYS.items():
        starts = StartPositions(buffer.storage, LENGTH)
        selectors[way] = make_selector(fractions, buffer.storage, starts, LENGTH)
        selectors[way].restore(addresses, {})
    rng = np.random.default_rng(0)
    seconds = defaultdict(list)
    for _ in range(rounds):
        losses = 10 * rng.random((BATCH, LENGTH), np.float32)
        # What was drawn before is in the caches.
        for way in rng.permutation(list(selectors)).tolist():
            buffer.selector = selectors[way]
            began = time.thread_time()
            windows = buffer.sample(BATCH).windows
            sampled = time.thread_time()
            buffer.write_back(windows, {MODEL_LOSS: losses})
            seconds[way].append((sampled - began, time.thread_time() - sampled))
    sums = {way: [sum(pair) for pair in pairs] for way, pairs in seconds.items()}
    return {
        way: {
            "sample_us": statistics.median(sample for sample, _ in pairs) * 1e6,
            "write_back_us": statistics.median(write for _, write in pairs) * 1e6,
            "to_uniform": statistics.median(
                own / uniform for own, uniform in zip(sums[way], sums["uniform"], strict=True)
            ),
        }
        for way, pairs in seconds.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="records to store")
    parser.add_argument("--image-size", type=int, default=64, help="pixels; 0: vectors")
    parser.add_argument("--streams", type=int, default=16, help="environments that take turns")
    parser.add_argument("--rounds", type=int, default=500, help="batches of each way")
    options = parser.parse_args()
    if options.records < FRAGMENT * options.streams:
        parser.error(f"--records must be at least {FRAGMENT} for each of the --streams")
    for way, numbers in measure(
        filled(options.records, options.image_size, options.streams), options.rounds
    ).items():
        print(json.dumps({"way": way} | {name: round(x, 3) for name, x in numbers.items()}))


if __name__ == "__main__":
    main()
