"""Curves of training episodes, in memory and on disk."""

import csv
import json
from pathlib import Path

import pytest
from written_curves import COLUMNS, write_curve
from written_run import result

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.episode_curve import EpisodeCurve
from rllib_dreamerv3.reports.history import History

HEAD = ",".join(COLUMNS)


def results(*episodes):
    found = []
    for number, ended in enumerate(episodes, 1):
        one = result(100 * number, float(number))
        one["env_runners"]["num_episodes"] = ended
        found.append(one)
    return found


def test_a_curve_has_the_results_in_which_episodes_have_ended():
    curve = EpisodeCurve.of_history(Path("x"), {}, History(results(4, 0, 4)))
    assert [(row["env_steps"], row["return"]) for row in curve.rows] == [(100, 1), (300, 3)]
    assert curve.end == 300


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "x_seed3.csv"
    options = {"env": "CartPole-v1", "seed": 3, "lr": 0.0003}
    origin = {"commit": "abc", "processor": "Fast, (R)"}
    EpisodeCurve.of_history(path, options, History(results(4, 2)), origin).write()
    with path.open() as file:
        assert [row["processor"] for row in csv.DictReader(file)] == ["Fast, (R)"] * 2
    read = EpisodeCurve.read(path)
    assert (read.env, read.name, read.options) == ("CartPole-v1", "seed 3", options)
    assert [row["episodes"] for row in read.rows] == [4, 2]
    assert read.rows[1] == {
        "env_steps": 200,
        "updates": 100,
        "seconds": 20,
        "episodes": 2,
        "return": 2,
        "length": 10,
    }


def test_a_run_without_a_seed_is_named_by_its_file(tmp_path):
    assert EpisodeCurve.read(write_curve(tmp_path / "mine.csv", [1])).name == "mine"


def test_a_mean_is_over_episodes_in_a_half_open_window():
    rows = [
        {"env_steps": 1000.0, "episodes": 1.0, "return": 10.0},
        {"env_steps": 2000.0, "episodes": 3.0, "return": 30.0},
        {"env_steps": 3000.0, "episodes": 9.0, "return": 90.0},
    ]
    curve = EpisodeCurve(Path("x"), {}, tuple(rows))
    assert curve.mean_return(0, 2000) == 25
    assert curve.mean_return(1000, 2000) == 30
    assert curve.mean_return(3000, 9000) is None


def test_a_window_is_complete_if_no_more_episodes_would_have_ended_in_it(tmp_path):
    curve = EpisodeCurve.read(write_curve(tmp_path / "x.csv", [1, 2, 3], every=2000))
    assert curve.completes(6000)
    assert curve.completes(7999)
    assert not curve.completes(8000)
    one = EpisodeCurve.read(write_curve(tmp_path / "y.csv", [1]))
    assert (one.completes(2000), one.completes(4000)) == (True, False)
    assert not EpisodeCurve(Path("z"), {}, ()).completes(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there is no column env_steps, updates"),
        ("env_steps,return\n1,2\n", "line 1: there is no column updates, seconds, episodes"),
        (HEAD, "has no row: no episode of this run has ended"),
        (f"{HEAD}\n1,1,1,4,2,500\n2,1,1,4,x,500\n", "line 3: return must be a number, not 'x'"),
        (f"{HEAD}\n1,1,1,4\n", "line 2: return must be a number, not 'empty'"),
        (f"{HEAD}\n1,1,1,4,nan,500\n", "line 2: return must be finite, not nan"),
        (f"{HEAD}\n1,1,1,0,2,500\n", "line 2: episodes must be at least 1, not 0"),
        (
            f"{HEAD}\n1,1,1,4,2,500\n5,1,1,4,2,500\n5,1,1,4,2,500\n",
            "line 4: env_steps must increase, but 5 follows 5",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, message):
    path = write_curve(tmp_path / "x.csv", [1])
    path.write_text(text)
    with pytest.raises(CheckpointError) as error:
        EpisodeCurve.read(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has the options of the run in x.csv. Copy params.json"),
        ("{", "cannot be read as JSON"),
        ("[]", 'must be a JSON object of options, with "env"'),
        ("{}", 'must be a JSON object of options, with "env"'),
        (json.dumps({"env": "x", "training_ratio": "512"}), "training_ratio must be a number"),
        (json.dumps({"env": "x", "model_size": "XXXL"}), "model_size"),
    ],
)
def test_what_is_wrong_with_the_options_is_named(tmp_path, text, message):
    path = write_curve(tmp_path / "x.csv", [1])
    options = tmp_path / "x.json"
    options.unlink()
    if text is not None:
        options.write_text(text)
    with pytest.raises(CheckpointError) as error:
        EpisodeCurve.read(path)
    assert str(options) in str(error.value)
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    path = write_curve(tmp_path / "x.csv", [1])
    path.unlink()
    with pytest.raises(CheckpointError, match=r"There is no .*x\.csv\."):
        EpisodeCurve.read(path)
