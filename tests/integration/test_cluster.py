"""A cluster of three machines, all of them on this one; one is lost in the middle of a run."""

import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import ray

PROGRAM = """
import time
import numpy as np
import ray
from ray.cluster_utils import Cluster
from test_cluster import Counting, places_of_env_runners
from tiny import tiny_config

# The head has no CPUs, so that each of the others has one env runner.
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")

config = tiny_config(Counting, training_ratio=1)
config.env_runners(num_env_runners=2, sampling="asynchronous")
algorithm = config.build_algo()


def train_until(condition):
    deadline = time.monotonic() + 120
    while True:
        result = algorithm.train()
        if condition(result):
            return result
        assert time.monotonic() < deadline, result["env_runners"]


result = train_until(lambda result: "learners" in result and "machines" in result)
assert list(result["machines"].values()) == ["main process, 2 env runners"]
places = places_of_env_runners(algorithm)
assert len(set(places)) == 2, places
before = algorithm._records
cluster.remove_node(next(node for node in nodes if node.node_id == places[0]), False)
manager = algorithm.env_runner_group._worker_manager
train_until(lambda result: manager.num_healthy_actors() == 1)
known = algorithm._records
result = train_until(lambda result: algorithm._records > known + 200)
assert list(result["machines"].values()) == ["main process, 1 env runner"]

# Somewhere else it is started again.
cluster.add_node(num_cpus=1)
result = train_until(lambda result: manager.num_healthy_actors() == 2)
after = train_until(lambda x: algorithm._records > known + 400 and "machines" in x)
assert list(after["machines"].values()) == ["main process, 2 env runners"]
assert result["env_runners"]["num_env_runners_replaced_lifetime"] == 1
assert places[0] not in places_of_env_runners(algorithm)

batch = algorithm.replay_buffer.sample(256).columns
(name,) = (column for column in batch if column.startswith("obs/"))
step, is_first = batch[name][..., 0].round(), batch["is_first"]
np.testing.assert_array_equal(step[:, 1:], np.where(is_first[:, 1:], 0, step[:, :-1] + 1))
ratio = result["actual_training_ratio"]
print("records", before > 0, "ratio", abs(ratio - 1) < 0.2)
algorithm.stop()
ray.shutdown()
cluster.shutdown()
"""


def places_of_env_runners(algorithm):
    return algorithm.env_runner_group.foreach_env_runner(
        lambda runner: ray.get_runtime_context().get_node_id(), local_env_runner=False
    )


class Counting(gym.Env):
    """Shows how many steps its episode has."""

    observation_space = gym.spaces.Box(0, 30, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        self.t = 0

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.array([0], np.float32), {}

    def step(self, action):
        self.t += 1
        return np.array([self.t], np.float32), 1.0, self.t == 30, False, {}


@pytest.mark.long
def test_a_machine_is_lost_and_another_joins():
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("records True ratio True\n"), done.stdout + done.stderr[-3000:]
    assert done.returncode == 0
