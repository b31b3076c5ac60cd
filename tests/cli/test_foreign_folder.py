"""Commands run inside a folder of somebody else's, whose modules must not be imported."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from command import REPOSITORY, TINY
from processes import left_behind
from written_run import result, write_run

NOT_INSTALLED = "torch", "jax", "cupy", "sitecustomize"
MODULES = (
    *("numpy", "ray", "tree", "tensorflow", "gymnasium", "matplotlib", "yaml", "PIL", "wave"),
    *("safetensors", "rllib_cli", "rllib_dreamerv3", *NOT_INSTALLED),
)
EXECUTED = "executed"
# As an installed command: Python puts the directory of the script into the import path.
COMMAND = "from rllib_cli.main import main\nmain()\n"
CHECKPOINT = "checkpoint_000000"


@pytest.fixture
def foreign(cartpole, tmp_path, monkeypatch):
    """The working directory: somebody's run, with modules that leave a note when executed."""
    folder = write_run(tmp_path / "downloaded", [result(x, x / 100) for x in (100, 200)])
    shutil.copytree(cartpole, folder / CHECKPOINT)
    for name in MODULES:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / EXECUTED)!r}, 'a').write({name!r} + '\\n')\n"
        )
    (folder / "matplotlibrc").write_text("text.usetex: True\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rllib").write_text(COMMAND)
    monkeypatch.chdir(folder)
    return folder


def run(tmp_path, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MPLCONFIGDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "bin" / "rllib"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    output, _ = process.communicate()
    assert not left_behind(process.pid)
    return process.returncode, output


def check(tmp_path, *arguments):
    code, output = run(tmp_path, *arguments)
    noted = tmp_path / EXECUTED
    assert not noted.exists(), noted.read_text()
    # The doctor finds something in these runs.
    assert code == 0 or (code == 1 and arguments[0] == "doctor" and "env steps" in output), output


def words(arguments):
    return " ".join(map(str, arguments[:4]))


@pytest.mark.parametrize(
    "arguments",
    [("plot", "."), ("doctor", "."), ("evaluate", ".", "--episodes", 1)],
    ids=words,
)
def test_its_modules_are_not_imported(foreign, tmp_path, arguments):
    check(tmp_path, *arguments)


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ("version",),
        ("report", "."),
        # A module that is named, and installed.
        ("evaluate", ".", "--env", "gymnasium:CartPole-v1", "--episodes", 1),
        ("check-env", "CartPole-v1"),
        ("check-env", "gymnasium.envs.classic_control:CartPoleEnv"),
        ("dream", ".", "--length", 6, "--context", 2, "--out", "dream.png"),
        ("export", ".", "--format", "savedmodel", "--out", "exported"),
        ("doctor", "--env", "CartPole-v1", "--config", json.dumps(TINY)),
    ],
    ids=words,
)
def test_nor_by_the_other_commands(foreign, tmp_path, arguments):
    check(tmp_path, *arguments)


@pytest.mark.long
@pytest.mark.parametrize("env", ["CartPole-v1", "mine:Own"])
def test_nor_by_the_processes_of_a_run(foreign, tmp_path, env):
    # Who names a module of this folder trusts it with what is installed nowhere.
    for name in NOT_INSTALLED if env == "mine:Own" else ():
        (foreign / f"{name}.py").unlink()
    (foreign / "mine.py").write_text(
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "from ray.rllib.callbacks.callbacks import RLlibCallback\n"
        "class Own(CartPoleEnv): pass\n"
        "class Note(RLlibCallback): pass\n"
    )
    own = {"callbacks": "mine:Note"} if env == "mine:Own" else {}
    config = {**TINY, "num_env_runners": 1, **own}
    check(
        tmp_path,
        *("train", "--algo", "DreamerV3", "--env", env, "--config", json.dumps(config)),
        *("--stop", '{"training_iteration": 1}', "--storage-path", tmp_path / "results"),
    )
