"""Whoever wrote a checkpoint executes nothing where it is only looked at or played."""

import pickle
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from rllib_cli.main import cli
from rllib_dreamerv3.acting import load_policy
from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.dream_env.env import DreamEnv

MARKER = "executed"


class WritesAFile:
    def __reduce__(self):
        return open, (MARKER, "w")


@pytest.fixture(scope="module")
def hostile(cartpole, tmp_path_factory):
    """A checkpoint that verifies, and whose every pickle writes a file when it is loaded."""
    path = shutil.copytree(cartpole, tmp_path_factory.mktemp("hostile") / "checkpoint_000000")
    for file in pickles_of(path):
        file.write_bytes(pickle.dumps(WritesAFile()))
    (path / manifest.MANIFEST).unlink()
    manifest.write(path, env_steps=1, updates=1)
    manifest.verify(path)
    return path


def pickles_of(path):
    """All files that are pickles by what is in them, whatever they are called."""
    return [file for file in path.rglob("*") if file.is_file() and is_pickle(file)]


def is_pickle(file):
    return file.suffix in (".pkl", ".pickle") or file.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05")


def acts(path):
    policy = load_policy(path)
    policy.spaces.observation.seed(0)
    policy(policy.spaces.observation.sample())


def dreams(path):
    DreamEnv(path, starts=4).reset(seed=0)


def command(*arguments):
    def run(path):
        typed = [str(path) if one is ... else one for one in arguments]
        done = CliRunner().invoke(cli, typed)
        assert done.exit_code == 0, done.output

    return run


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(acts, id="load_policy"),
        pytest.param(dreams, id="DreamEnv"),
        pytest.param(command("evaluate", ..., "--episodes", "1"), id="evaluate"),
        pytest.param(command("dream", ..., "--length", "10"), id="dream"),
        pytest.param(command("export", ..., "-f", "savedmodel", "-o", "exported"), id="export"),
    ],
)
def test_nothing_is_executed(hostile, look):
    look(hostile)
    assert not Path(MARKER).exists()


def test_it_would_have_been_noticed(hostile):
    pickles = pickles_of(hostile)
    assert len(pickles) > 5
    for file in pickles:
        pickle.loads(file.read_bytes()).close()
        Path(MARKER).unlink()
