"""The command as people use it: real processes, real training, real signals."""

import csv
import json
import os
import re
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from command import TINY, iterations, run, start
from processes import left_behind

from rllib_cli.main import cli


def read_until(process, reached):
    """What the command prints until a condition on it holds."""
    seen = ""
    while not reached(seen):
        line = process.stdout.readline()
        assert line, seen
        seen += line
    return seen


@pytest.mark.long
def test_interrupted_training_is_saved_resumed_and_evaluated():
    train = (
        *("train", "--algo", "DreamerV3", "--env", "CartPole-v1"),
        *("--config", json.dumps(TINY), "--storage-path", "results", "--experiment-name", "mine"),
    )
    process = start(*train, "--stop", '{"training_iteration": 1000}')
    seen = read_until(process, lambda seen: len(iterations(seen)) >= 2)
    # To the whole group, Ray's processes included, as a terminal does.
    os.killpg(process.pid, signal.SIGINT)
    seen += process.communicate()[0]
    assert process.returncode == 130, seen
    assert not left_behind(process.pid)
    assert "Ctrl-C again stops without saving" in seen
    assert "the same command with --resume" in seen
    reached = iterations(seen)[-1]
    (checkpoint,) = re.findall(r"^Checkpoint: (.*)$", seen, re.MULTILINE)
    assert (Path(checkpoint) / "rllib_checkpoint.json").is_file()
    assert Path(checkpoint).with_name("curve.png").is_file()
    # Not a word of the libraries that start up underneath.
    for noise in ("WARNING", "INFO", "oneDNN", "pid=", "Deprecat", "╭"):
        assert noise not in seen

    code, output = run(
        *train, "--stop", json.dumps({"training_iteration": reached + 2}), "--resume"
    )
    assert code == 0, output
    assert iterations(output) == [reached + 1, reached + 2]

    # Its folder can be looked at, and tells of both parts.
    (looked_at,) = re.findall(r"^Look at it: rllib report (.*)$", output, re.MULTILINE)
    assert {"curve.png", "config.yaml", "progress.csv"} <= set(os.listdir(looked_at))
    with open(Path(looked_at, "progress.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert next(iter(rows[0])) == "num_env_steps_sampled_lifetime"
    assert [int(row["training_iteration"]) for row in rows][-3:] == [
        *(reached, reached + 1, reached + 2)
    ]

    code, output = run(
        *train, "--stop", json.dumps({"training_iteration": reached + 2}), "--resume"
    )
    assert code == 0, output
    assert "Every trial has reached its stop criterion" in output
    assert iterations(output) == []

    code, output = run("evaluate", "results/mine", "--episodes", 3, "--out", "returns.json")
    assert code == 0, output
    reported = json.loads(Path("returns.json").read_text())
    returns = [episode["return"] for episode in reported["episodes"]]
    assert len(returns) == 3
    assert reported["return_mean"] == pytest.approx(sum(returns) / 3)
    # CartPole pays one for every step.
    assert [episode["length"] for episode in reported["episodes"]] == returns
    assert re.search(r"mean +[\d.]+ +[\d.]+ +std", output)


@pytest.mark.long
def test_a_signal_to_the_process_group_saves_the_run():
    """As GNU timeout and batch systems send it."""
    process = start(
        *("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--ray-num-cpus", 2),
        *("--config", json.dumps({**TINY, "num_env_runners": 1}), "--storage-path", "results"),
        *("--stop", '{"training_iteration": 1000}'),
    )
    seen = read_until(process, lambda seen: len(iterations(seen)) >= 1)
    os.killpg(process.pid, signal.SIGTERM)
    seen += process.communicate()[0]
    assert process.returncode == 130, seen
    assert not left_behind(process.pid)
    assert "Stopping: finishing the iteration" in seen
    (checkpoint,) = re.findall(r"^Checkpoint: (.*)$", seen, re.MULTILINE)
    assert (Path(checkpoint) / "rllib_checkpoint.json").is_file()


def test_a_short_run_is_saved_and_played():
    """Everything is done once; how runs are ended and go on is in the long tests."""
    code, output = run(
        *("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--ray-num-cpus", 2),
        *("--config", json.dumps(TINY), "--stop", '{"training_iteration": 2}'),
        *("--storage-path", "results", "--experiment-name", "mine"),
    )
    assert code == 0, output
    assert iterations(output) == [1, 2]
    # Not a word of the libraries that start up underneath.
    for noise in ("WARNING", "INFO", "oneDNN", "pid=", "Deprecat", "╭"):
        assert noise not in output
    (looked_at,) = re.findall(r"^Look at it: rllib report (.*)$", output, re.MULTILINE)
    assert {"curve.png", "config.yaml", "progress.csv"} <= set(os.listdir(looked_at))
    (checkpoint,) = re.findall(r"^Checkpoint: (.*)$", output, re.MULTILINE)
    done = CliRunner().invoke(cli, ["evaluate", checkpoint, "--episodes", "3", "--out", "r.json"])
    assert done.exit_code == 0, done.output
    episodes = json.loads(Path("r.json").read_text())["episodes"]
    # CartPole pays one for every step.
    assert [x["length"] for x in episodes] == [x["return"] for x in episodes]


@pytest.mark.long
def test_failures_inside_a_trial_are_reported_with_their_message():
    Path("broken.py").write_text(
        "import gymnasium as gym\n"
        "from rllib_dreamerv3 import DreamerV3Config\n"
        "class Broken(gym.Env):\n"
        "    def __init__(self, config):\n"
        "        self.observation_space = gym.spaces.Box(-1, 1, (3,))\n"
        "        self.action_space = gym.spaces.Discrete(2)\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        return self.observation_space.sample(), {}\n"
        "    def step(self, action):\n"
        "        raise RuntimeError('the motor is stuck')\n"
        "config = DreamerV3Config().environment(Broken).training(\n"
        "    model_size='nano', batch_size_B=2, batch_length_T=8)\n"
    )
    code, output = run("train", "file", "broken.py", "--storage-path", "results")
    assert code == 1, output
    assert "the motor is stuck" in output
    assert "Traceback (most" not in output
    (log,) = re.findall(r"^Traceback: (.*)$", output, re.MULTILINE)
    assert "the motor is stuck" in Path(log).read_text()


@pytest.mark.long
def test_clusters_that_are_too_small_are_refused_at_once():
    code, output = run(
        *("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--ray-num-cpus", 2),
        *("--config", json.dumps({**TINY, "num_env_runners": 4})),
    )
    assert code == 1, output
    assert "This run requests 5 CPUs, but the cluster has 2" in output
    assert "num_env_runners: 1" in output


@pytest.mark.long
def test_sweeps_run_every_point_of_the_grid():
    Path("sweep.yaml").write_text(
        json.dumps(
            {
                "sweep": {
                    "run": "DreamerV3",
                    "env": "CartPole-v1",
                    "stop": {"training_iteration": 1},
                    "storage_path": "results",
                    "config": {**TINY, "gamma": {"grid_search": [0.9, 0.99]}},
                }
            }
        )
    )
    code, output = run("train", "file", "sweep.yaml", "--ray-num-cpus", 2)
    assert code == 0, output
    assert "0 running, 0 pending, 2 finished" in output
    for gamma in (0.9, 0.99):
        assert re.search(rf"gamma={gamma} .* finished|gamma={gamma} finished", output)
    assert len(list(Path("results/sweep").glob("*/checkpoint_*/rllib_checkpoint.json"))) == 2


@pytest.mark.long
def test_a_run_that_is_stopped_at_once_says_how_it_goes_on():
    process = start(
        *("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--ray-num-cpus", 2),
        *("--config", json.dumps(TINY), "--storage-path", "results", "--checkpoint-freq", 1),
        *("--stop", '{"training_iteration": 1000}'),
    )
    seen = read_until(process, lambda seen: len(iterations(seen)) >= 2)
    process.send_signal(signal.SIGINT)
    seen += read_until(process, lambda seen: "Ctrl-C again" in seen)
    process.send_signal(signal.SIGINT)
    seen += process.communicate()[0]
    assert process.returncode == 130, seen
    (checkpoint,) = re.findall(r"^Checkpoint: (.*)$", seen, re.MULTILINE)
    assert (Path(checkpoint) / "rllib_checkpoint.json").is_file()
    assert "the same command with --resume" in seen
