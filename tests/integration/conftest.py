"""Real Ray for all integration tests, started once."""

import pytest
import ray

# Before any test file imports RLlib: else MuJoCo could not draw in this process.
import rllib_dreamerv3.plugin  # noqa: F401


@pytest.fixture(scope="session", autouse=True)
def ray_cluster():
    """A local cluster of two CPUs, whatever the machine has."""
    # A test elsewhere may have built an algorithm, which starts Ray.
    ray.shutdown()
    # Whatever the first test says: its processes serve the others too.
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("RLLIB_DREAMERV3_EAGER", "1")
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    monkeypatch.undo()
    yield
    ray.shutdown()


@pytest.fixture
def build():
    """Builds algorithms and stops them at the end of the test."""
    built = []

    def build_algorithm(config):
        built.append(config.build_algo())
        return built[-1]

    yield build_algorithm
    for algorithm in built:
        algorithm.stop()
