"""Processes that take turns, with a trivial one instead of a DreamerV3."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest
from peers import interleave
from peers.interleave import Child, ChildError, check_options, ratios, spread, take_turns

# Writes down whose turn it is, in a file that all processes share.
CHILD = """
import sys
from peers.protocol import Answers

answers = Answers()
print("chatter of a library")
name, diary = sys.argv[1:]

def work():
    print("more chatter")
    with open(diary, "a") as file:
        file.write(name)
    return {"seconds": 2.0}

answers.serve({"program": name}, work, lambda: {"unchanged": []})
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory whose modules can be children."""
    (tmp_path / "trivial_child.py").write_text(CHILD)
    (tmp_path / "failing_child.py").write_text("raise SystemExit('no such workload')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(interleave, "PAUSE_SECONDS", 0)
    return tmp_path


def test_turns_alternate(programs: Path) -> None:
    diary = programs / "diary"
    with (
        Child(sys.executable, "trivial_child", ["A", str(diary)]) as first,
        Child(sys.executable, "trivial_child", ["B", str(diary)]) as second,
    ):
        answers = take_turns([first, second], 3)
        assert first.hello == {"program": "A"}
        goodbye = second.finish()
    assert diary.read_text() == "ABABAB"
    assert answers == [[{"seconds": 2.0}] * 3] * 2
    assert goodbye["unchanged"] == []
    assert goodbye["peak_rss_gb"] > 0


def test_failure_is_told_in_its_own_words(programs: Path) -> None:
    with pytest.raises(ChildError, match=r"exit code 1(.|\n)*no such workload"):
        Child(sys.executable, "failing_child")


def test_threads_are_known_before_libraries_are_loaded(programs: Path) -> None:
    (programs / "threads_child.py").write_text(
        "import os\nfrom peers.protocol import Answers\n"
        "Answers().serve({'threads': os.environ['OMP_NUM_THREADS']}, dict)"
    )
    with Child(sys.executable, "threads_child", threads=3) as child:
        assert child.hello == {"threads": "3"}


def test_ratios_are_those_of_neighbours() -> None:
    assert spread([3.0, 1.0, 8.0], "s") == {"median_s": 3.0, "min_s": 1.0, "max_s": 8.0}
    # Not the ratio of the medians, 20 / 3.
    assert ratios([20.0, 12.0, 40.0], [2.0, 3.0, 5.0], "ratio") == {
        "median_ratio": 8.0,
        "min_ratio": 4.0,
        "max_ratio": 10.0,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 0}, "--runs must be at least 1"),
        ({"env_steps": -5}, "--env-steps must be at least 1"),
        ({"vs": "rllib"}, "belong together"),
        ({"peer_python": "python"}, "belong together"),
    ],
)
def test_contradictory_options(
    options: dict, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = argparse.Namespace(**{"runs": 1, "vs": None, "peer_python": None, **options})
    with pytest.raises(SystemExit):
        check_options(argparse.ArgumentParser(), given)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "peer"),
    [("update", "rllib"), ("sampling", "rllib"), ("end_to_end", "rllib"), ("acting", "sheeprl")],
)
def test_peers_need_their_python(
    program: str, peer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "--vs", peer])
    with pytest.raises(SystemExit):
        importlib.import_module(program).main()
    assert "--peer-python" in capsys.readouterr().err
