"""Runs with several seeds."""

import json
import os
import subprocess

import pytest
from written_run import result, write_run

from rllib_cli.errors import RunError
from rllib_cli.seed_runs import SeedRun, history_in, run_name, slug


@pytest.fixture
def commands(monkeypatch):
    """Records commands instead of running them; they end with the code 0, or that of the list."""
    started, codes = [], []

    def run(command, **options):
        started.append(command)
        return subprocess.CompletedProcess(command, codes.pop() if codes else 0)

    monkeypatch.setattr(subprocess, "run", run)
    return started, codes


def run(directory, env_steps=300):
    return SeedRun("cartpole", "CartPole-v1", {"seed": 3}, env_steps, directory)


def test_a_run_with_other_options_has_another_name():
    names = {run_name("x", config, 3) for config in ({}, {"lr": 1e-4}, {"lr": 3e-4})}
    assert len(names) == 3
    assert run_name("x", {}, 3) == "x_seed3"
    assert run_name("x", {"a": 1, "b": 2}, 0) == run_name("x", {"b": 2, "a": 1}, 0)


def test_a_run_is_complete_at_its_env_steps(tmp_path):
    assert not run(tmp_path / "none").is_complete
    write_run(tmp_path / "mine" / "trial", [result(100, 1.0), result(300, 1.0)])
    assert run(tmp_path / "mine").is_complete
    assert not run(tmp_path / "mine", 301).is_complete
    assert len(history_in(tmp_path / "mine")) == 2


def test_a_run_is_trained_by_the_command_and_continued_if_it_is_there(tmp_path, commands):
    started, _ = commands
    run(tmp_path / "mine").train()
    (command,) = started
    # `python -m rllib_cli.main` would import modules of the working directory.
    assert os.path.basename(command[0]) == "rllib"
    assert os.access(command[0], os.X_OK)
    assert command[1:4] == ["train", "file", "cartpole"]
    said = dict(zip(command[4::2], command[5::2], strict=False))
    assert said["--env"] == "CartPole-v1"
    assert json.loads(said["--config"]) == {"seed": 3}
    assert json.loads(said["--stop"]) == {"num_env_steps_sampled_lifetime": 300}
    assert (said["--experiment-name"], said["--storage-path"]) == ("mine", str(tmp_path))
    assert "--resume" not in command
    (tmp_path / "mine").mkdir()
    run(tmp_path / "mine").train()
    assert started[1] == [*command, "--resume"]


def test_a_run_that_fails_is_named(tmp_path, commands):
    commands[1].append(130)
    with pytest.raises(RunError, match=r"mine ended with exit code 130"):
        run(tmp_path / "mine").train()


def test_environments_have_short_names():
    assert slug("dm_control/ball_in_cup-catch-v0") == "ball_in_cup_catch"
    assert slug("ale_py:ALE/Boxing-v5") == "boxing"
    assert slug("my_env:Reach") == "reach"
    assert slug("my_env:Sub-Visible-v12") == "sub_visible"
