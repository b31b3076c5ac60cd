"""What RLlib's options of failing env runners change beyond their replacement."""

import time

import pytest
import ray
from tiny import tiny_config

from rllib_dreamerv3.errors import EnvironmentFailedError


def config(runners, **fault_tolerance):
    # Without an update: sampling is what this is about, and compiling takes long.
    remote = tiny_config(
        num_steps_sampled_before_learning_starts=900_000,
        replay_buffer_config={"capacity": 1_000_000},
    )
    remote.env_runners(num_env_runners=runners, num_cpus_per_env_runner=0.5)
    return remote.fault_tolerance(**fault_tolerance)


def first_process(algorithm):
    return algorithm.env_runner_group._worker_manager.actors()[1]


def train_until(algorithm, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        result = algorithm.train()
        assert time.monotonic() < deadline
    return result


@pytest.mark.long
def test_failures_are_ignored_and_the_others_go_on(build):
    """Without that, the first one ends the run: see test_lost_env_runners.py."""
    algorithm = build(config(2, restart_failed_env_runners=False, ignore_env_runner_failures=True))
    algorithm.train()
    ray.kill(first_process(algorithm))
    manager = algorithm.env_runner_group._worker_manager
    train_until(algorithm, lambda: manager.healthy_actor_ids() == [2])
    before = algorithm.get_counters()["env_steps"]
    result = train_until(algorithm, lambda: algorithm.get_counters()["env_steps"] > before + 100)
    assert result["env_runners"]["num_env_runners_replaced_lifetime"] == 0


@pytest.mark.long
def test_processes_fail_after_a_delay_and_are_restarted_so_often(build):
    delay = 4
    algorithm = build(
        config(
            1,
            restart_failed_env_runners=True,
            delay_between_env_runner_restarts_s=delay,
            max_num_env_runner_restarts=0,
            num_consecutive_env_runner_failures_tolerance=1,
        )
    )
    began = time.monotonic()
    with pytest.raises(ray.exceptions.RayError):
        ray.get(first_process(algorithm).apply.remote(lambda runner: 1 / 0))
    assert time.monotonic() - began >= delay
    with pytest.raises(EnvironmentFailedError, match="Env runner 1: its process has died"):
        train_until(algorithm, lambda: False)
