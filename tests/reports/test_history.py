"""Results of a run, read back."""

import json

import pytest

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.history import ENV_STEPS, History


def result(env_steps, **values):
    return {"num_env_steps_sampled_lifetime": env_steps, "config": {"lr": 1}, **values}


def test_values_are_ordered_by_env_steps_if_present():
    history = History(
        [
            result(10),
            result(20, learners={"default_policy": {"loss": 3.0}}),
            result(30, learners={"default_policy": {"loss": float("nan")}}, name="text"),
            result(40, learners={"default_policy": {"loss": 1.0}}),
        ]
    )
    assert history.series("learners/default_policy/loss") == ([20, 40], [3, 1])
    assert history.latest("learners/default_policy/loss") == 1
    assert history.values("learners/default_policy/loss", last=0.5) == [1]
    assert history.values("nothing") == []
    assert history.config == {"lr": 1}
    assert "name" not in history.names()


def test_what_a_resumed_run_lost_is_forgotten():
    history = History([result(10, x=1), result(20, x=2), result(30, x=3), result(15, x=4)])
    assert history.series("x") == ([10, 15], [1, 4])


def test_reads_a_directory_whose_last_line_was_cut(tmp_path):
    lines = [json.dumps(result(10, x=1)), json.dumps(result(20, x=2))[:-5]]
    (tmp_path / "result.json").write_text("\n".join(lines))
    assert History.read(tmp_path).series("x") == ([10], [1])
    with pytest.raises(CheckpointError, match=r"has no result\.json"):
        History.read(tmp_path / "elsewhere")


def test_what_comes_first_after_lost_results_is_beside_its_env_steps():
    history = History([{ENV_STEPS: 1, "a": 1}, {ENV_STEPS: 2, "a": 2}, {ENV_STEPS: 3}])
    history.add({ENV_STEPS: 1.5, "b": 5})
    assert len(history) == 2
    assert history.rows(ENV_STEPS, "a") == [(1, 1)]
    assert history.rows(ENV_STEPS, "b") == [(1.5, 5)]
    assert history.rows("a", "b") == history.rows("c") == []
    assert history.names() == {ENV_STEPS, "a", "b"}
