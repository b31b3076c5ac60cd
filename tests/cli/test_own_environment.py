"""An environment in a file of its user's own, from its check to playing in another directory."""

import json
import os
import re
from pathlib import Path

import pytest
from command import TINY, run

pytestmark = pytest.mark.slow

MODULE = '''
import gymnasium as gym
import numpy as np


class Reach(gym.Env):
    """A point on a line is moved to the goal."""

    def __init__(self, env_config):
        self.goal = env_config.get("goal", 0.5)
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.time = self.np_random.uniform(-1.0, 1.0), 0
        return self._observation(), {}

    def step(self, action):
        self.place = float(np.clip(self.place + 0.1 * action[0], -1.0, 1.0))
        self.time += 1
        distance = abs(self.place - self.goal)
        return self._observation(), -distance, distance < 0.05, self.time >= 50, {}

    def _observation(self):
        return np.array([self.place, self.goal], np.float32)
'''
REGISTERING = """
import gymnasium as gym
from ray.tune.registry import register_env
from rllib_dreamerv3 import DreamerV3Config

class Own(gym.Env):
    observation_space, action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return int(action), 1.0, self.np_random.random() < 0.1, False, {}

register_env("mine", lambda env_config: Own())
config = DreamerV3Config().environment("mine").update_from_dict(SETTINGS)
stop = {"training_iteration": 1}
"""


def test_from_the_check_to_playing_elsewhere(monkeypatch):
    Path("project").mkdir()
    Path("project/my_env.py").write_text(MODULE)
    own = ("--pythonpath", "project", "--env-config", '{"goal": 0.2}')
    code, output = run("check-env", "my_env:Reach", *own)
    assert code == 0, output
    assert "obs/vector: 2 numbers; declared -1 to 1, seen" in output
    assert "Nothing is wrong." in output

    code, output = run(
        *("train", "--algo", "DreamerV3", "--env", "my_env:Reach", *own),
        *("--config", json.dumps({**TINY, "num_env_runners": 2}), "--ray-num-cpus", 3),
        *("--stop", '{"training_iteration": 1}', "--storage-path", "results"),
    )
    assert code == 0, output
    (play,) = re.findall(r"^Play it: +rllib (.*)$", output, re.MULTILINE)
    project = Path("project").resolve()
    assert play.endswith(f" --env my_env:Reach --pythonpath {project}")

    Path("another").mkdir()
    monkeypatch.chdir("another")
    checkpoint = play.split()[1]
    code, output = run("evaluate", checkpoint)
    assert code == 1, output
    # What to type is what training has said.
    assert f"  rllib {play}\n" in output
    code, output = run(*play.split(), "--episodes", 2)
    assert code == 0, output
    assert re.search(r"mean +-[\d.]+ ", output), output

    project.rename(project.with_name("moved"))
    code, output = run("evaluate", checkpoint, "--env", "my_env:Reach")
    assert code == 1
    assert "There is no module 'my_env'" in output
    assert "--pythonpath DIR" in output
    assert "Traceback" not in output


def test_what_a_python_file_registers_is_trained_in():
    settings = {**TINY, "num_env_runners": 1}
    Path("x.py").write_text(REGISTERING.replace("SETTINGS", repr(settings)))
    code, output = run("train", "file", "x.py", "--storage-path", "results", "--ray-num-cpus", 2)
    assert code == 0, output
    assert "Play it:" in output
    assert os.listdir("results/x")
