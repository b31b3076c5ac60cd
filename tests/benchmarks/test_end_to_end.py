"""When a whole run ends, with a trivial process instead of a DreamerV3."""

import argparse
import os
import sys
from pathlib import Path

import end_to_end
import pytest
from peers import interleave

# Each turn: 2 seconds, 100 env steps, and as much more return; no episode has ended in the first.
CHILD = """
from peers.protocol import Answers

steps = 0

def train():
    global steps
    steps += 100
    return {"seconds": 2.0, "env_steps": steps, "updates": steps - 100,
            "return": steps if steps > 100 else None}

Answers().serve({"program": "trivial"}, train)
"""


def run(**options: float) -> end_to_end.Message:
    given = argparse.Namespace(**{"goal": 1000, "env_steps": 2000, "threads": 1} | options)
    return end_to_end.run(sys.executable, "training_child", [], given)


@pytest.fixture(autouse=True)
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "training_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_ends_at_the_goal() -> None:
    result = run(goal=450)
    assert (result["seconds_to_goal"], result["env_steps_to_goal"]) == (10.0, 500)
    assert result["program"] == "trivial"
    # A point for every 200 env steps, and the last one.
    assert result["curve"] == [(4.0, 200, 200), (8.0, 400, 400), (10.0, 500, 500)]
    # Rates are those after the iteration with the first update.
    assert result["env_steps_per_s"] == pytest.approx(50.0)


def test_ends_at_the_limit_of_env_steps() -> None:
    result = run(env_steps=600)
    assert result["seconds_to_goal"] is None
    assert (result["env_steps"], result["return"]) == (600, 600)


@pytest.mark.parametrize(("seconds", "env_steps"), [(6.0, 300), (6.5, 400)])
def test_ends_when_patience_does(seconds: float, env_steps: int) -> None:
    options = argparse.Namespace(goal=1000, env_steps=2000, threads=1)
    result = end_to_end.run(sys.executable, "training_child", [], options, lambda: seconds)
    assert result["seconds_to_goal"] is None
    assert result["env_steps"] == env_steps


def all_runs(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> end_to_end.Message:
    """Numbers of both runs. The trivial process of the peer learns a fifth as fast."""
    shown: list[end_to_end.Message] = []
    monkeypatch.setattr(end_to_end, "print_table", shown.append)
    command = ["end_to_end.py", "--vs=rllib", f"--peer-python={sys.executable}", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    end_to_end.main()
    return shown[0]


@pytest.fixture
def two_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = CHILD.replace('"return": steps if', '"return": steps / 5 if')
    for name, program in (("own", CHILD), ("rllib", slow)):
        cores = "__import__('os').sched_getaffinity(0)"
        program = program.replace('"trivial"', f"sorted({cores})")
        (tmp_path / f"{name}_training.py").write_text(program)

    def child(python: str, module: str, *rest: object) -> interleave.Child:
        return interleave.Child(python, module.removeprefix("peers."), *rest)

    monkeypatch.setattr(end_to_end, "Child", child)


@pytest.mark.usefixtures("two_children")
def test_the_peer_has_patience_times_our_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = all_runs(monkeypatch, "--goal=500", "--patience=3")
    assert numbers["own"]["seconds_to_goal"] == 10.0
    assert numbers["peer"]["seconds_to_goal"] is None
    assert numbers["peer"]["seconds"] == 30.0
    assert numbers["peer"]["program"] == sorted(os.sched_getaffinity(0))


@pytest.mark.usefixtures("two_children")
def test_both_at_once_have_cores_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = all_runs(monkeypatch, "--goal=500", "--at-once", "--threads=1")
    cores = sorted(os.sched_getaffinity(0))
    assert (numbers["own"]["program"], numbers["peer"]["program"]) == (cores[:1], cores[-1:])
    assert numbers["peer"]["seconds_to_goal"] == 50.0


def test_both_at_once_need_cores_for_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        all_runs(monkeypatch, "--at-once", "--threads=1000")
    assert "twice as many cores" in capsys.readouterr().err
