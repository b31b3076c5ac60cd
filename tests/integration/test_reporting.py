"""Reports in results and in the trial's directory."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny import tiny_config

from rllib_dreamerv3.reports.pictures import BORDER

PONG = "ale_py:ALE/Pong-v5"
LOSSES = ("total", "decoder", "reward", "continue", "dynamics", "representation")
ALL_REPORTS = {
    "report_images_and_videos": True,
    "report_dream_data": True,
    "report_individual_batch_item_stats": True,
}


def is_report(key):
    return key.endswith(("_B_T", "_per_step"))


@pytest.fixture
def results_of():
    """Runs a config for some iterations."""
    built = []

    def run(config, iterations):
        algorithm = config.build_algo()
        built.append(algorithm)
        return algorithm, [algorithm.train() for _ in range(iterations)]

    yield run
    for algorithm in built:
        algorithm.stop()


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_all_reports_of_an_atari_game(results_of, variant):
    config = tiny_config(PONG, variant=variant).reporting(**ALL_REPORTS, report_frequency=2)
    algorithm, results = results_of(config, 4)
    for number, result in enumerate(results, 1):
        learner = result["learners"]["default_policy"]
        assert result["num_grad_updates_lifetime"] == number
        for name in LOSSES:
            losses = learner[f"WORLD_MODEL_L_{name}_B_T"]
            assert losses.shape == (2, 8)
            assert np.isfinite(losses).all()
        # Every second update, and in no result between.
        dreams = {key: len(x) for key, x in learner.items() if key.endswith("_per_step")}
        if number % 2:
            assert not dreams
            assert "reports" not in result
            continue
        assert dreams == {
            "DREAM_DATA_rewards_per_step": 4,
            "DREAM_DATA_continues_per_step": 4,
            "DREAM_DATA_values_per_step": 4,
            "DREAM_DATA_returns_per_step": 3,
        }
        path = Path(result["reports"]["open_loop_image"])
        assert path == Path(algorithm.logdir) / "reports" / f"open_loop_{number:08d}.png"
        picture = tf.io.decode_png(path.read_bytes())
        assert picture.shape == (2 * (3 * 64 + 2 * BORDER), 8 * (64 + 2 * BORDER), 3)
        # The truth: Pong's picture is not of one colour.
        assert np.unique(picture[BORDER : BORDER + 64, BORDER : BORDER + 64]).size > 2


def test_no_reports_unless_asked_for(results_of):
    algorithm, results = results_of(tiny_config(PONG).reporting(report_frequency=1), 2)
    for result in results:
        assert "reports" not in result
        assert not any(is_report(key) for key in result["learners"]["default_policy"])
    assert not (Path(algorithm.logdir) / "reports").exists()


def test_observations_without_images_are_reported_without_a_picture(results_of, caplog):
    config = tiny_config().reporting(**ALL_REPORTS, report_frequency=1)
    with caplog.at_level(logging.WARNING, logger="rllib_dreamerv3"):
        algorithm, results = results_of(config, 3)
    told = [r for r in caplog.records if "report_images_and_videos" in r.getMessage()]
    assert len(told) == 1
    for result in results:
        assert "reports" not in result
        assert any(is_report(key) for key in result["learners"]["default_policy"])
    assert not (Path(algorithm.logdir) / "reports").exists()
