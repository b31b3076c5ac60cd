"""Callbacks that raise in processes of env runners end the run at once."""

import sys
from pathlib import Path

import gymnasium as gym
import pytest
from ray import cloudpickle
from ray.rllib.callbacks.callbacks import RLlibCallback
from tiny import tiny_config

from rllib_dreamerv3.errors import CallbackFailedError

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Short(gym.Env):
    """Episodes of five steps."""

    observation_space = gym.spaces.Box(0, 1, (1,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        del config

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observation_space.low, {}

    def step(self, action):
        self.t += 1
        return self.observation_space.low, 1.0, self.t == 5, False, {}


class Raises(RLlibCallback):
    """Raises at the end of an episode while a file says so."""

    def on_episode_end(self, *, env_runner, **_):
        if Path(env_runner.config.env_config["file"]).exists():
            raise KeyError("goal")


@pytest.mark.long
def test_a_callback_that_raises_ends_the_run_at_once(build, tmp_path):
    file = tmp_path / "raise"
    config = tiny_config(num_steps_sampled_before_learning_starts=9_000).callbacks(Raises)
    config.environment(Short, env_config={"file": str(file)})
    config.env_runners(num_env_runners=1, num_cpus_per_env_runner=0.5)
    config.evaluation(
        evaluation_num_env_runners=1,
        evaluation_duration=1,
        evaluation_config={"num_cpus_per_env_runner": 0.5},
    )
    algorithm = build(config)
    algorithm.train()
    assert algorithm.evaluate()["env_runners"]["num_episodes"] == 1
    file.touch()
    says = r"nv runner 1: The callback on_episode_end failed: KeyError: 'goal'\n +File .*in on_epi"
    with pytest.raises(CallbackFailedError, match=f"^Evaluation e{says}"):
        algorithm.evaluate()
    with pytest.raises(CallbackFailedError, match=f"^E{says}"):
        list(iter(algorithm.train, None))
