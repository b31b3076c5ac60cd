"""What both sides of a comparison of acting do: the same observations, timed in the same way.

Needs nothing but NumPy.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from peers.workloads import Spaces

SPACES = {"vector": Spaces((8,), 6), "image": Spaces((64, 64, 3), 6)}
WARM_UP, STEPS = 20, 200


def bind_to_one_core() -> None:
    """Keep this process on one core. To be called before libraries count how many there are."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def observations(spaces: Spaces, count: int) -> Iterator[np.ndarray]:
    """Random observations of one environment."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        if spaces.is_image:
            yield rng.integers(0, 256, spaces.observation, np.uint8)
        else:
            yield rng.uniform(-3, 3, spaces.observation).astype(np.float32)


def time_steps(act: Callable[[np.ndarray], object], spaces: Spaces) -> dict[str, float]:
    """Milliseconds of a step: the median, and the fastest.

    Args:
        act: Takes an observation and acts.
        spaces: What it observes.
    """
    seconds = []
    for observation in observations(spaces, WARM_UP + STEPS):
        began = time.perf_counter()
        act(observation)
        seconds.append(time.perf_counter() - began)
    timed = seconds[WARM_UP:]
    return {
        "median_ms": round(1e3 * statistics.median(timed), 3),
        "fastest_ms": round(1e3 * min(timed), 3),
    }
