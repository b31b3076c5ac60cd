"""An environment in a file of its user's own, from its check to playing in another directory."""

import os
import re
import shlex
from pathlib import Path

import pytest
from command import TINY, run

pytestmark = pytest.mark.long

PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()


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


def shape_of(line):
    """What stays of a line of output from run to run."""
    line = re.sub(r"/\S*/(results|project)", r"/\1", line)
    line = re.sub(r"\w+_\w+_[0-9a-f]{5}_\d+_\d+_[\d-]+_[\d-]+", "TRIAL", line)
    return re.sub(r"-?\d[\d.,:]*(e-\d+)?|\s+", " ", line).split()


def play_documented(command, place):
    """Runs a command of the page's session; everything it shows there has to be said again."""
    (shown,) = re.findall(
        rf"^```console\n\$ (rllib {command} .*?)^```", PAGE, re.MULTILINE | re.DOTALL
    )
    typed, *lines = shown.replace("/home/me", str(place)).splitlines()
    trial = sorted(place.glob("results/default/*/"))
    if trial:
        typed = re.sub(r"DreamerV3_my_env\S+?/", f"{trial[0].name}/", typed)
    code, output = run(*shlex.split(typed)[1:])
    assert code == 0, output
    said = [shape_of(line) for line in output.splitlines()]
    for line in lines:
        assert shape_of(line) in said, (line, output)
    return output


# Batches have their usual size: an update as plain Python takes seconds.
@pytest.mark.compiled
def test_the_documented_session_from_the_check_to_playing_elsewhere(monkeypatch):
    place = Path.cwd()
    project = place / "project"
    project.mkdir()
    (module,) = re.findall(r"```python\n([^`]*class Reach.*?)```", PAGE, re.DOTALL)
    (project / "my_env.py").write_text(module)
    play_documented("check-env", place)
    output = play_documented("train", place)
    (play,) = re.findall(r"^Play it: +rllib (.*)$", output, re.MULTILINE)
    assert play.endswith(f" --env my_env:Reach --pythonpath {project}")

    Path("another").mkdir()
    monkeypatch.chdir("another")
    play_documented("evaluate", place)
    checkpoint = play.split()[1]
    code, output = run("evaluate", checkpoint)
    assert code == 1, output
    # What to type is what training has said.
    assert f"  rllib {play}\n" in output

    project.rename(project.with_name("moved"))
    code, output = run("evaluate", checkpoint, "--env", "my_env:Reach")
    assert code == 1
    assert "The module 'my_env' of" in output
    assert "--pythonpath DIR" in output
    assert "Traceback" not in output


def test_what_a_python_file_registers_is_trained_in():
    settings = {**TINY, "num_env_runners": 1}
    Path("x.py").write_text(REGISTERING.replace("SETTINGS", repr(settings)))
    code, output = run("train", "file", "x.py", "--storage-path", "results", "--ray-num-cpus", 2)
    assert code == 0, output
    assert "Play it:" in output
    assert os.listdir("results/x")
