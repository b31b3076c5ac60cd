"""Environments that hang, crash or die: the run goes on, or ends with their own words."""

import logging
import os
import signal
import sys
import time

import gymnasium as gym
import numpy as np
import pytest
from ray import cloudpickle
from tiny import tiny_config

from rllib_dreamerv3.errors import EnvironmentFailedError

STEPS = 20

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Faulty(gym.Env):
    """Pays 1 a step for 20 steps; hangs or fails where a file says so."""

    observation_space = gym.spaces.Box(0, STEPS, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        self.directory = config["directory"]
        self.index = getattr(config, "worker_index", 0)
        self.t = 0

    def told(self, what):
        return os.path.exists(os.path.join(self.directory, f"{what}{self.index}"))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.array([0], np.float32), {}

    def step(self, action):
        if self.told("fail"):
            raise ValueError("the motor is stuck")
        if self.told("hang"):
            # A restarted process must not hang again.
            os.remove(os.path.join(self.directory, f"hang{self.index}"))
            time.sleep(600)
        self.t += 1
        return np.array([self.t], np.float32), 1.0, self.t == STEPS, False, {}


def config(tmp_path, runners, **fault_tolerance):
    faulty = tiny_config(Faulty).environment(env_config={"directory": str(tmp_path)})
    faulty.env_runners(num_env_runners=runners, num_cpus_per_env_runner=0.5, sample_timeout_s=10)
    return faulty.fault_tolerance(**fault_tolerance)


def train_until(algorithm, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        result = algorithm.train()
        if condition(result):
            return result
        assert time.monotonic() < deadline, result["env_runners"]


def check_records(algorithm):
    """No sequence holds records from both sides of a gap, and every return is the true one."""
    batch = algorithm.replay_buffer.sample(64).columns
    (name,) = (column for column in batch if column.startswith("obs/"))
    step, is_first = batch[name][..., 0].round(), batch["is_first"]
    expected = np.where(is_first[:, 1:], 0, step[:, :-1] + 1)
    np.testing.assert_array_equal(step[:, 1:], expected)


@pytest.mark.parametrize("fault", ["hangs", "dies"])
def test_a_lost_env_runner_is_replaced_while_the_other_goes_on(build, tmp_path, caplog, fault):
    algorithm = build(config(tmp_path, 2))
    train_until(algorithm, lambda result: algorithm.get_counters()["env_steps"] > 150)
    if fault == "hangs":
        (tmp_path / "hang1").touch()
    else:
        first, _ = algorithm.env_runner_group.foreach_env_runner(
            lambda runner: os.getpid(), local_env_runner=False
        )
        os.kill(first, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        manager = algorithm.env_runner_group._worker_manager
        train_until(algorithm, lambda result: manager.num_healthy_actors() == 1)
        before, began = algorithm.get_counters()["env_steps"], time.monotonic()
        while manager.num_healthy_actors() == 1 and time.monotonic() < began + 2:
            algorithm.train()
        # Nobody waits for the one that is starting.
        assert algorithm.get_counters()["env_steps"] > before + 5
        result = train_until(
            algorithm, lambda result: result["env_runners"]["num_env_runners_replaced_lifetime"]
        )
    assert result["env_runners"]["num_env_runners_replaced_lifetime"] == 1
    if fault == "hangs":
        (line,) = (record.message for record in caplog.records if "replaced" in record.message)
        assert "Env runner 1 has been in step() of" in line
        assert "Faulty" in line
        assert "test_lost_env_runners.py" in line
    after = algorithm.get_counters()["env_steps"]
    result = train_until(
        algorithm, lambda result: algorithm.get_counters()["env_steps"] > after + 100
    )
    check_records(algorithm)
    for name in ("min", "max"):
        assert result["env_runners"][f"episode_return_{name}"] == STEPS
        assert result["env_runners"][f"episode_len_{name}"] == STEPS


@pytest.mark.parametrize("runners", [0, 1])
def test_an_environment_that_fails_each_time_ends_the_run_with_its_words(build, tmp_path, runners):
    limits = {"restart_failed_sub_environments": True, "max_failures_in_a_row": 3}
    algorithm = build(config(tmp_path, runners, **limits))
    algorithm.train()
    (tmp_path / f"fail{runners}").touch()
    with pytest.raises(EnvironmentFailedError, match=r"motor is stuck.* 3 times in a row"):
        train_until(algorithm, lambda result: False)


def test_a_process_that_fails_each_time_ends_the_run_with_its_words(build, tmp_path):
    limits = {"restart_failed_env_runners": True, "max_failures_in_a_row": 3}
    algorithm = build(config(tmp_path, 1, **limits))
    algorithm.train()
    (tmp_path / "fail1").touch()
    with pytest.raises(EnvironmentFailedError, match=r"failed 3 times in a row.*motor is stuck"):
        train_until(algorithm, lambda result: False)


def test_a_rare_failure_ends_nothing(build, tmp_path):
    limits = {"restart_failed_sub_environments": True, "max_failures_in_a_row": 2}
    algorithm = build(config(tmp_path, 0, **limits))
    for _ in range(3):
        algorithm.train()
        (tmp_path / "fail0").touch()
        with pytest.raises(EnvironmentFailedError):
            algorithm.env_runner.sample(num_timesteps=3)
        (tmp_path / "fail0").unlink()
        algorithm.env_runner.failures_in_a_row = 1
    algorithm.train()
    assert algorithm.env_runner.failures_in_a_row == 0


def test_a_local_environment_that_hangs_is_told_of(build, tmp_path, caplog, monkeypatch):
    algorithm = build(config(tmp_path, 0))
    algorithm.train()
    (tmp_path / "hang0").touch()
    # As long as it takes to be told of, instead of ten minutes.
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 5)))
    with caplog.at_level(logging.WARNING):
        algorithm.env_runner.sample(num_timesteps=2)
    (line,) = (record.message for record in caplog.records if "may hang" in record.message)
    assert "Env runner 0 has been in step()" in line
