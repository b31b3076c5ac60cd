"""Which published scores belong to a run."""

import pytest

from rllib_dreamerv3.reports.published import published, scores_of


@pytest.mark.parametrize(
    ("env", "config", "end", "score"),
    [
        ("ale_py:ALE/Pong-v5", {"model_size": "S"}, 100_000, 18.5),
        ("ALE/Pong-v5", {"model_size": "200M"}, 100_000, -4.0),
        ("ALE/UpNDown-v5", {"model_size": "S"}, 97_500, 7567),
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
    assert (found.windows[-1].end, found.windows[-1].mean) == (end, score)
    ends = [window.end for window in found.windows]
    assert ends == sorted(ends)
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


def test_values_of_each_seed_give_the_statistics():
    found = published("dm_control/finger-spin-v0", {"env_config": {"action_repeat": 2}})
    window = next(each for each in found.windows if each.end == 25_000)
    assert (window.begin, window.returns) == (20_000, (399.0, 715.0, 774.0, 278.0, 322.0))
    assert window.mean == pytest.approx(497.6)
    # The population's: the sample's is 230.4.
    assert window.deviation == pytest.approx(206.1, abs=0.05)
    assert window.seeds == found.seeds == 5
    assert found.steps[:3] == (2_500, 7_500, 12_500)
    assert str(window) == "(20,000, 25,000]"


def test_a_window_has_only_the_seeds_with_an_episode_in_it():
    kung_fu = published("ALE/KungFuMaster-v5", {"model_size": "S"})
    assert {len(window.returns) for window in kung_fu.windows} > {4, 5}


@pytest.mark.parametrize(
    ("file", "tasks"),
    [
        ("dmc_proprio", 18),
        ("dmc_vision_2023", 20),
        ("dmc_vision_2025", 20),
        ("atari100k_2023", 26),
        ("atari100k_2025", 26),
    ],
)
def test_reference_files_are_whole(file, tasks):
    scores = scores_of(file)
    assert len(scores) == tasks
    for each in scores.values():
        windows = [(window.begin, window.end) for window in each.windows]
        assert len(set(windows)) == len(windows)
        assert all(0 <= begin < end for begin, end in windows)
        assert all(window.seeds == (len(window.returns) or window.seeds) for window in each.windows)
