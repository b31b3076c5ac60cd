"""The command runs in the process of these tests."""

from pathlib import Path

import pytest
import ray
from tiny import tiny_config
from unchanged_process import unchanged_process  # noqa: F401 (a fixture of every test here)


@pytest.fixture(scope="session")
def cartpole(tmp_path_factory):
    """A checkpoint of CartPole after one update; not to be changed."""
    algorithm = tiny_config().build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path_factory.mktemp("cartpole") / "checkpoint_000000")
    algorithm.stop()
    ray.shutdown()
    return Path(path)
