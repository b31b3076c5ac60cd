"""What holds for all tests and for the processes they start."""

import ctypes
import gc
import os
import sys
from pathlib import Path

import pytest

# Ray would connect to a cluster that another test, or another user, runs on this machine; and end
# the process of the tests a minute after that cluster is gone.
os.environ["RAY_ADDRESS"] = "local"

# Tests report nothing to Ray's makers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# By default Ray's workers run at low priority, and tests time out on a busy machine.
os.environ.setdefault("RAY_worker_niceness", "0")

EAGER_VARIABLE = "RLLIB_DREAMERV3_EAGER"
# Compiling takes longer than the few updates of most tests. Ray's processes inherit it.
os.environ[EAGER_VARIABLE] = "1"


def pytest_collection_modifyitems(items):
    """Runs files that take minutes first: else one process ends long after the others."""
    items.sort(key=lambda item: "integration" not in item.path.parts)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before any fixture: compiles functions in tests marked ``compiled``."""
    run_eagerly = item.get_closest_marker("compiled") is None
    os.environ[EAGER_VARIABLE] = str(int(run_eagerly))
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        tf.config.run_functions_eagerly(run_eagerly)


# With the defaults, collections of garbage take 6 % of the tests' time.
gc.set_threshold(50_000, 20, 50)
# Bytes of a process from which memory is freed, and by which it must have grown since.
MUCH_MEMORY, MUCH_MORE = 2 * 10**9, 3 * 10**8


def pytest_collection_finish(session):
    """Exempts what was imported from collections of garbage: it is most of all objects."""
    gc.collect()
    gc.freeze()


def resident_bytes():
    """The memory of this process; infinite where the system does not say it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def left_in_memory():
    """The memory of this process after it was last freed, in a list of one."""
    return [0.0]


@pytest.fixture(scope="module", autouse=True)
def memory_given_back(left_in_memory):
    """Frees the memory of a file's tests; otherwise Ray kills processes when memory is low.

    TensorFlow permanently registers the gradient of every call of a function with a custom
    gradient, and with it the graph of the calling trainer: 40 MB each. glibc keeps freed memory.
    """
    yield
    # It takes half a second or more, and there are hundreds of files.
    if resident_bytes() < max(MUCH_MEMORY, left_in_memory[0] + MUCH_MORE):
        return
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import ops

        registry = ops.gradient_registry._registry
        for name in [name for name in registry if name.startswith("CustomGradient-")]:
            del registry[name]
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    left_in_memory[0] = resident_bytes()
