"""What holds for all tests and for the processes they start."""

import ctypes
import gc
import os
import sys

import pytest

# Ray would connect to a cluster that another test, or somebody else, runs on this machine; and end
# the process of the tests a minute after that cluster is gone.
os.environ["RAY_ADDRESS"] = "local"


@pytest.fixture(scope="module", autouse=True)
def memory_given_back():
    """What a file's tests no longer need; glibc would keep it, and Ray ends processes for want."""
    yield
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
