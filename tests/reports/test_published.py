"""Which published scores belong to a run."""

import pytest

from rllib_dreamerv3.reports.published import published


@pytest.mark.parametrize(
    ("env", "config", "end", "score"),
    [
        ("ale_py:ALE/Pong-v5", {"model_size": "S"}, 100_000, 18.4),
        ("ALE/Pong-v5", {"model_size": "200M"}, 100_000, -4.0),
        ("ALE/UpNDown-v5", {"model_size": "S"}, 100_000, 7567),
        ("ALE/MsPacman-v5", {"model_size": "S", "variant": "v2"}, 100_000, 1521),
        ("dm_control/walker-walk-v0", {"model_size": "12M"}, 250_000, 925),
        ("dm_control/cartpole-balance_sparse-v0", {}, 250_000, 1000),
        (
            "shimmy:dm_control/walker-walk-v0",
            {"model_size": "12M", "env_config": {"pixels": True}},
            500_000,
            961,
        ),
        (
            "dm_control/quadruped-run-v0",
            {"model_size": "S", "env_config": {"pixels": True, "action_repeat": 2}},
            500_000,
            378,
        ),
    ],
)
def test_scores_are_those_of_task_and_version(env, config, end, score):
    found = published(env, config)
    assert (found.steps[-1], found.mean[-1]) == (end, score)
    assert list(found.steps) == sorted(found.steps)
    assert found.seeds >= 1
    assert "Source" in found.source


@pytest.mark.parametrize(
    ("env", "config"),
    [
        ("CartPole-v1", {}),
        ("ALE/Tetris-v5", {}),
        ("ALE/Pong-v5", {"env_config": {"frameskip": 1}}),
        ("ALE/Pong-v5", {"env_config": {"repeat_action_probability": 0.25}}),
        ("dm_control/walker-walk-v0", {"env_config": {"action_repeat": 1}}),
        # Only from images.
        ("dm_control/quadruped-run-v0", {}),
    ],
)
def test_nothing_is_compared_that_was_played_differently(env, config):
    assert published(env, config) is None


def test_windows_are_ordered_by_decisions():
    found = published("ALE/Boxing-v5", {})
    assert found.steps == (2_500, 7_500, 17_500, 47_500, 72_500, 100_000)
    assert found.mean[0] == -3.9
