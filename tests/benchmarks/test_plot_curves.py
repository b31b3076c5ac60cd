"""What the picture of learning curves is drawn from."""

import json

import plot_curves
import pytest


def test_all_runs_are_drawn():
    drawn = {
        panel.title.partition(" ")[0]: [curve.label for curve in panel.curves]
        for panel in plot_curves.panels()
        if panel.axis == "env steps"
    }
    assert drawn["CartPole-v1"].count("v2") >= 4
    assert drawn["Pendulum-v1"].count("v1") >= 3
    assert drawn["Pendulum-v1"].count("v2") >= 4
    # All runs of the settings called so, those that missed the goal too.
    (v1,) = set(drawn["CartPole-v1"]) - {"v2"}
    assert drawn["CartPole-v1"].count(v1) >= 6
    assert any(max(curve.returns) < 400 for curve in plot_curves.panels()[0].curves)


def test_curves_begin_with_the_first_episodes_end(tmp_path, monkeypatch):
    rows = [
        {"env_steps": 100, "return": float("nan")},
        {"env_steps": 200, "return": 20.0},
        {"env_steps": 300, "return": 21.5},
    ]
    lines = "\n".join(map(json.dumps, rows))
    for name in ("maze_seed0", "maze_again_seed1", "maze_mode_seed0", "amaze_seed0"):
        (tmp_path / f"{name}.jsonl").write_text(lines)
    monkeypatch.setattr(plot_curves, "RESULTS", tmp_path)
    curves = plot_curves.by_env_steps("maze", "v1", "red")
    assert [curve.x for curve in curves] == [[200, 300]] * 2
    assert [curve.returns for curve in curves] == [[20.0, 21.5]] * 2


def test_clocks_are_in_minutes():
    ours, rllibs = plot_curves.by_minutes()
    assert ours.label == "this package"
    assert ours.returns[-1] >= 400 > max(rllibs.returns)
    assert ours.x[-1] == pytest.approx(9.22, abs=0.01)
