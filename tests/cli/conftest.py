"""The command runs in the process of these tests."""

import pytest
from trained import trained_checkpoint
from unchanged_process import unchanged_process  # noqa: F401 (a fixture of every test here)


@pytest.fixture(scope="session")
def cartpole(tmp_path_factory):
    """A checkpoint of CartPole after two updates; not to be changed."""
    return trained_checkpoint(tmp_path_factory, "v1")
