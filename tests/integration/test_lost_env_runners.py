"""Environments that hang, crash or die: the run goes on, or ends with their own words."""

import contextlib
import logging
import os
import signal
import sys
import time

import gymnasium as gym
import numpy as np
import pytest
import ray
import tree
from ray import cloudpickle
from tiny import tiny_config

from rllib_dreamerv3.errors import EnvironmentFailedError

STEPS = 20
TWO = {"num_consecutive_env_runner_failures_tolerance": 2}

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Faulty(gym.Env):
    """Pays 1 a step for 20 steps; hangs or fails where a file says so."""

    observation_space = gym.spaces.Box(0, STEPS, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    fails_always_at = None

    def __init__(self, config):
        self.fails_at = self.fails_always_at
        self.directory = config["directory"]
        self.index = getattr(config, "worker_index", 0)
        self.t = 0

    def requested(self, what):
        return os.path.exists(os.path.join(self.directory, f"{what}{self.index}"))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.array([0], np.float32), {}

    def step(self, action):
        if self.requested("fail") or self.t == self.fails_at:
            raise ValueError("the motor is stuck")
        if self.requested("hang"):
            # A restarted process must not hang again.
            os.remove(os.path.join(self.directory, f"hang{self.index}"))
            time.sleep(600)
        self.t += 1
        return np.array([self.t], np.float32), 1.0, self.t == STEPS, False, {}


def config(tmp_path, runners, **fault_tolerance):
    # Without an update: sampling is what this is about, and compiling takes long.
    faulty = tiny_config(
        Faulty,
        num_steps_sampled_before_learning_starts=900_000,
        replay_buffer_config={"capacity": 1_000_000},
    )
    faulty.environment(env_config={"directory": str(tmp_path)})
    faulty.env_runners(num_env_runners=runners, num_cpus_per_env_runner=0.5, sample_timeout_s=10)
    return faulty.fault_tolerance(**fault_tolerance)


def in_process_of(algorithm, index, function):
    actor = algorithm.env_runner_group._worker_manager.actors()[index]
    return ray.get(actor.apply.remote(function))


def process_of(algorithm, index):
    return in_process_of(algorithm, index, lambda runner: os.getpid())


def times_replaced(result):
    return result["env_runners"]["num_env_runners_replaced_lifetime"]


def sample_for_ever(runner):
    while True:
        runner.sample(num_records=1)


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


# Indices of env runners that the callback received.
back = []


def note_back(*, algorithm, env_runner_group, env_runner_indices, is_evaluation, **_):
    assert env_runner_group is algorithm.env_runner_group
    assert not is_evaluation
    back.extend(env_runner_indices)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Two env runners, and the directory that says when they hang or fail."""
    directory = tmp_path_factory.mktemp("faulty")
    lossy = config(directory, 2).checkpointing(exact_resume=True)
    lossy.callbacks(on_env_runners_recreated=note_back)
    algorithm = lossy.build_algo()
    yield algorithm, directory
    algorithm.stop()


@pytest.mark.parametrize("fault", [pytest.param("hangs", marks=pytest.mark.long), "dies"])
def test_a_lost_env_runner_is_replaced_while_the_other_goes_on(faulty, caplog, fault):
    algorithm, directory = faulty
    algorithm.train()
    replaced = times_replaced(algorithm.train())
    manager = algorithm.env_runner_group._worker_manager
    if fault == "hangs":
        (directory / "hang1").touch()
    else:
        os.kill(process_of(algorithm, 1), signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        train_until(algorithm, lambda result: manager.num_healthy_actors() == 1)
        before, began = algorithm.get_counters()["env_steps"], time.monotonic()
        while manager.num_healthy_actors() == 1 and time.monotonic() < began + 2:
            algorithm.train()
        # The others do not wait for the one that is starting.
        assert algorithm.get_counters()["env_steps"] > before + 100
        train_until(algorithm, lambda result: times_replaced(result) == replaced + 1)
    if fault == "hangs":
        (line,) = (record.message for record in caplog.records if "replaced" in record.message)
        assert "Env runner 1 has been in step() of" in line
        assert "Faulty" in line
        assert "test_lost_env_runners.py" in line
    after = algorithm.get_counters()["env_steps"]
    result = train_until(
        algorithm, lambda result: algorithm.get_counters()["env_steps"] > after + 500
    )
    check_records(algorithm)
    for name in ("min", "max"):
        assert result["env_runners"][f"episode_return_{name}"] == STEPS
        assert result["env_runners"][f"episode_len_{name}"] == STEPS


def test_an_env_runner_that_died_between_two_calls_is_noticed_and_gets_its_weights(faulty):
    algorithm, _ = faulty
    replaced = times_replaced(algorithm.train())
    back.clear()
    weights = tree.map_structure(lambda x: x + 1, algorithm.get_weights())
    algorithm.set_weights(weights)
    dead = process_of(algorithm, 1)
    os.kill(dead, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while True:  # Until Ray has started another.
        with contextlib.suppress(ray.exceptions.RayError):
            if process_of(algorithm, 1) != dead:
                break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    train_until(algorithm, lambda result: times_replaced(result) == replaced + 1)
    assert back == [1]
    found = in_process_of(algorithm, 1, lambda runner: runner.module.get_state())
    for name, value in found.items():
        np.testing.assert_array_equal(value, weights["default_policy"][name], err_msg=name)
    check_records(algorithm)


@pytest.mark.long
def test_saving_and_restoring_wait_for_no_env_runner_that_hangs(faulty, tmp_path):
    algorithm, directory = faulty
    algorithm.train()
    # During a request, without further requests.
    (directory / "hang1").touch()
    algorithm.env_runner_group._worker_manager.actors()[1].sample.remote(num_records=4)
    while (directory / "hang1").exists():
        time.sleep(0.1)
    began = time.monotonic()
    algorithm.save_to_path(tmp_path / "checkpoint")
    algorithm.restore_from_path(tmp_path / "checkpoint")
    # Stopping, too: the fixture does, with an environment that hangs for ten minutes.
    assert time.monotonic() - began < 60


def test_environment_that_always_fails_ends_the_run_with_its_error(build, tmp_path):
    algorithm = build(config(tmp_path, 0, restart_failed_sub_environments=True, **TWO))
    algorithm.train()
    (tmp_path / "fail0").touch()
    with pytest.raises(EnvironmentFailedError, match=r"(?s)stuck.*\b3 failures in a row"):
        algorithm.train()


@pytest.mark.long
def test_process_that_always_fails_ends_the_run_with_its_error(build, tmp_path):
    algorithm = build(config(tmp_path, 1, restart_failed_env_runners=True, **TWO))
    algorithm.train()
    (tmp_path / "fail1").touch()
    with pytest.raises(EnvironmentFailedError, match=r"(?s)stuck.*\b3 failures in a row"):
        train_until(algorithm, lambda result: False)


def test_environment_that_always_fails_is_not_tried_again_in_other_processes(build, tmp_path):
    algorithm = build(config(tmp_path, 1, restart_failed_sub_environments=True, **TWO))
    algorithm.train()
    process = process_of(algorithm, 1)
    (tmp_path / "fail1").touch()
    with pytest.raises(EnvironmentFailedError, match=r"(?s)1: .*stuck.*\b3 failures in a row"):
        train_until(algorithm, lambda result: False)
    assert process_of(algorithm, 1) == process


@pytest.mark.long
@pytest.mark.parametrize("ignore", [False, True])
def test_without_restarts_the_last_failure_ends_the_run_with_its_error(build, tmp_path, ignore):
    options = {"restart_failed_env_runners": False, "ignore_env_runner_failures": ignore}
    algorithm = build(config(tmp_path, 1, **options))
    algorithm.train()
    (tmp_path / "fail1").touch()
    with pytest.raises(EnvironmentFailedError, match="motor is stuck"):
        train_until(algorithm, lambda result: False)


def test_a_failure_in_each_episode_ends_the_run_and_a_rare_one_does_not(build, tmp_path):
    algorithm = build(config(tmp_path, 0, restart_failed_sub_environments=True, **TWO))
    runner = algorithm.env_runner
    for _ in range(4):
        runner.sample(num_records=STEPS + 2)
        runner.env.unwrapped.envs[0].unwrapped.fails_at = 5
        runner.sample(num_records=STEPS)
    Faulty.fails_always_at = 5
    try:
        runner.make_env()
        with pytest.raises(EnvironmentFailedError, match=r"(?s)stuck.*\b3 failures in a row"):
            sample_for_ever(runner)
    finally:
        Faulty.fails_always_at = None


@pytest.mark.long
def test_a_hanging_local_environment_is_reported(build, tmp_path, caplog, monkeypatch):
    algorithm = build(config(tmp_path, 0))
    algorithm.train()
    (tmp_path / "hang0").touch()
    # Longer than until the report, instead of ten minutes.
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 10)))
    with caplog.at_level(logging.WARNING):
        algorithm.env_runner.sample(num_records=2)
    (line,) = (record.message for record in caplog.records if "may hang" in record.message)
    assert "Env runner 0 has been in step()" in line
