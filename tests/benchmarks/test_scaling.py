"""What is measured as work and processes grow, and how it is drawn."""

import json

import plot_curves
import pytest
import scaling

RESULTS = plot_curves.RESULTS / "scaling.jsonl"


def rows_of_processes():
    """One row for each point, with numbers that are made up."""
    for group in scaling.groups():
        kind, _, what = group.series.partition(":")
        for x in group.xs if what else ():
            row = {"series": group.series, "x": x, "median_s": 0.1}
            match kind:
                case "sampling":
                    env_runners, _, ms, _ = x.split()
                    row |= {"sampling": what.strip(), "env_runners": int(env_runners)}
                    row |= {"step_s": int(ms) / 1000, "env_steps_per_s": 20.0}
                case "learners":
                    row |= {"workload": what.strip(), "num_learners": x}
                case "synchronisation":
                    row |= {"num_learners": int(what[-1]), "env_runners": 2}
                    sizes = ("weights_bytes", "gradient_bytes", "parameters")
                    row |= dict.fromkeys(sizes, 10 ** (3 + scaling.SIZES.index(x)))
            yield row


def test_what_was_measured_is_not_measured_again():
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    left = {group.series for group in scaling.missing(rows, None)}
    assert all(":" in series for series in left)
    assert not scaling.missing([*rows, *rows_of_processes()], None)


def test_a_part_of_what_is_measured_together_may_be_there():
    (known, *others) = (x for x in rows_of_processes() if x["series"] == "sampling: synchronous")
    first, *_ = scaling.missing([known], ["sampling: synchronous"])
    assert known["x"] not in first.xs
    assert set(first.xs) < {row["x"] for row in others}


@pytest.mark.parametrize(
    ("only", "series"),
    [
        (["size"], {"size"}),
        (["learners"], {"learners: vector-xs", "learners: image32-xs"}),
        (["sampling: asynchronous", "batch"], {"sampling: asynchronous", "batch"}),
    ],
)
def test_some_series_are_measured_alone(only, series):
    assert {group.series for group in scaling.missing([], only)} == series


def test_an_unknown_series_is_refused(tmp_path, monkeypatch, capsys):
    arguments = ["scaling.py", "--only", "lerners", "--out", str(tmp_path / "x.jsonl")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit):
        scaling.main()
    assert "no series lerners" in capsys.readouterr().err


def test_both_pictures_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    measured = [row for row in rows if ":" not in row["series"]]
    scaling.draw([*measured, *rows_of_processes()], tmp_path / "scaling.png")
    assert {path.name for path in tmp_path.iterdir()} == {
        "scaling.png",
        "scaling_processes.png",
    }
