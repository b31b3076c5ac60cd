"""Seconds and memory to save and to restore an algorithm whose replay holds many images.

    python benchmarks/checkpoints.py --records 100000 --image-size 64

The first save goes to a new directory, the second replaces it. "Peak" is the largest resident size
of the process while it saves, above what it was before, without what is mapped from files.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import numpy as np
from replay import make_records

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.records import ACTION, OBS_PREFIX, RecordChunk

PART = 1000


class Picture(gym.Env):
    """Random images, and three actions that do nothing."""

    action_space = gym.spaces.Discrete(3)

    def __init__(self, config: dict):
        side = config["side"]
        self.observation_space = gym.spaces.Box(0, 255, (side, side, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """Begin an episode."""
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: int) -> tuple:
        """Show another image."""
        return self.observation_space.sample(), 0.0, False, False, {}


def resident_bytes() -> int:
    """Anonymous memory of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("RssAnon is not in /proc/self/status")


@contextmanager
def peak(of: Callable[[], int]) -> Iterator[list[int]]:
    """Yield a list whose one entry grows to the largest value seen, beyond the first."""
    first, largest, done = of(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            largest[0] = max(largest[0], of() - first)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield largest
    finally:
        done.set()
        watcher.join()


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--directory", help="Where to save (default: a temporary directory).")
    arguments = parser.parse_args()

    config = (
        DreamerV3Config()
        .environment(Picture, env_config={"side": arguments.image_size})
        .training(
            model_size="nano",
            batch_size_B=2,
            batch_length_T=8,
            num_steps_sampled_before_learning_starts=16,
            replay_buffer_config={"capacity": arguments.records + 1000},
        )
        .reporting(min_time_s_per_iteration=0)
    )
    algorithm = config.build_algo()
    algorithm.train()
    rng = np.random.default_rng(0)
    (name,) = [n for n in algorithm.replay_buffer.storage.specs if n.startswith(OBS_PREFIX)]
    for start in range(0, arguments.records, PART):
        columns = make_records(rng, PART, arguments.image_size)
        columns[name] = columns.pop(OBS_PREFIX + "image")
        columns[ACTION] = columns[ACTION][:, :3]
        algorithm.replay_buffer.add(RecordChunk("stream", start, columns))
    saves, peaks, restores = [], [], []
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        for _ in range(arguments.repeats):
            with peak(resident_bytes) as largest:
                began = time.perf_counter()
                algorithm.save_to_path(f"{folder}/checkpoint")
                saves.append(time.perf_counter() - began)
            peaks.append(largest[0])
            began = time.perf_counter()
            algorithm.restore_from_path(f"{folder}/checkpoint")
            restores.append(time.perf_counter() - began)
    algorithm.stop()
    result = {
        "records": arguments.records,
        "gigabytes": algorithm.replay_buffer.num_bytes / 1e9,
        "save_s": [round(x, 3) for x in saves],
        "save_median_s": round(statistics.median(saves), 3),
        "save_peak_mb": round(max(peaks) / 1e6, 1),
        "restore_median_s": round(statistics.median(restores), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
