"""Ray, of which Tune's trials need the directory."""

import pytest
import ray


@pytest.fixture(scope="package", autouse=True)
def ray_started():
    """A small local cluster, unless another test has started one."""
    started_here = not ray.is_initialized()
    if started_here:
        ray.init("local", num_cpus=1, include_dashboard=False, logging_level="ERROR")
    yield
    if started_here:
        ray.shutdown()
