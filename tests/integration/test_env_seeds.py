"""The seeds that environments are given: never the same twice, whatever happens to a run."""

import os
import signal
import sys
import time

import gymnasium as gym
import numpy as np
import pytest
from ray import cloudpickle
from tiny import tiny_config

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class NotesSeeds(gym.Env):
    """Writes every seed that it is given to a file."""

    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        self.file = config["file"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            with open(self.file, "a") as file:
                file.write(f"{seed}\n")
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, bool(self.np_random.random() < 0.1), False, {}


@pytest.mark.long
def test_no_environment_is_given_a_seed_twice(build, tmp_path):
    noted = tmp_path / "seeds"
    # Never enough to learn from: nothing has to be compiled.
    config = tiny_config(NotesSeeds, num_steps_sampled_before_learning_starts=9000)
    config.environment(env_config={"file": str(noted)})
    config.env_runners(
        num_env_runners=2, num_envs_per_env_runner=2, num_cpus_per_env_runner=0.5
    ).evaluation(evaluation_interval=1000, evaluation_duration=2)
    config.fault_tolerance(restart_failed_env_runners=True)
    algorithm = build(config)

    def seeds_after(act, expected):
        """How many environments were reset meanwhile, once that is so many."""
        before, deadline = len(noted.read_text().split()) if noted.exists() else 0, time.monotonic()
        while True:
            act()
            seeds = noted.read_text().split() if noted.exists() else []
            if len(seeds) >= before + expected or time.monotonic() > deadline + 120:
                break
        assert len(seeds) == before + expected
        assert len(set(seeds)) == len(seeds)

    seeds_after(algorithm.train, expected=2 * 2)
    seeds_after(algorithm.evaluate, expected=2)
    first, _ = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: os.getpid(), local_env_runner=False
    )
    os.kill(first, signal.SIGKILL)
    seeds_after(algorithm.train, expected=2)
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    for _ in range(2):
        algorithm.restore_from_path(path)
        seeds_after(algorithm.train, expected=2 * 2)
