"""Inspecting or playing an untrusted checkpoint executes no code from it."""

import pickle
from pathlib import Path

import gymnasium as gym
import hostile
import pytest
import synthetic_dreams
from click.testing import CliRunner
from written_checkpoint import write_checkpoint

from rllib_cli.main import cli
from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.dream_env.env import DreamEnv
from rllib_dreamerv3.exporting.loaded_policy import load_policy
from rllib_dreamerv3.reports.dreams import Dreamer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint that verifies, and whose every pickle writes a file when it is loaded."""
    path = tmp_path_factory.mktemp("hostile") / "checkpoint_000000"
    env = gym.make("CartPole-v1")
    # Its replay has random observations, which the bounds of CartPole's speeds do not limit.
    write_checkpoint(path, env.observation_space, env.action_space)
    hostile.add_pickles(path)
    (path / manifest.MANIFEST).unlink()
    manifest.write(path, env_steps=1, updates=1)
    assert hostile.pickles_of(path) == hostile.PICKLES
    return path


def command(*arguments):
    def run(path):
        typed = [str(path) if one is ... else one for one in arguments]
        done = CliRunner().invoke(cli, typed)
        assert done.exit_code == 0, done.output

    return run


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(load_policy, id="load_policy"),
        pytest.param(lambda path: DreamEnv(path, starts=4).reset(seed=0), id="DreamEnv"),
        pytest.param(command("evaluate", ..., "--episodes", "1"), id="evaluate"),
        pytest.param(command("dream", ..., "--length", "6", "--context", "2"), id="dream"),
        pytest.param(command("export", ..., "-f", "savedmodel", "-o", "exported"), id="export"),
    ],
)
def test_nothing_is_executed(checkpoint, look, monkeypatch):
    # All has been read when it is called, and it is slow to compile.
    monkeypatch.setattr(Dreamer, "dream", lambda self, *_: synthetic_dreams.dream_of(self._layout))
    look(checkpoint)
    assert not Path(hostile.MARKER).exists()


def test_it_would_have_been_noticed(checkpoint):
    for name in hostile.PICKLES:
        pickle.loads((checkpoint / name).read_bytes()).close()
        Path(hostile.MARKER).unlink()
