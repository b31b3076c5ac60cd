"""Experiments that options describe, alone or over a file."""

from pathlib import Path

import pytest

from rllib_cli.errors import InputError
from rllib_cli.experiments import Experiment, from_options


def test_options_alone():
    experiment = from_options("DreamerV3", "CartPole-v1", {"model_size": "nano"})
    assert experiment.name == "default"
    assert experiment.config == {"env": "CartPole-v1", "model_size": "nano"}
    assert experiment.directory() == str(Path.home() / "ray_results" / "default")
    with pytest.raises(InputError, match="--env"):
        from_options("DreamerV3", None, {})


def test_options_win_over_the_file_and_merge_where_they_can():
    said = Experiment(
        "x",
        "DreamerV3",
        {"env": "A-v1"},
        stop={"training_iteration": 5, "time_total_s": 60},
        checkpoint={"checkpoint_at_end": False, "num_to_keep": 2},
        num_samples=3,
    )
    changed = said.changed(
        name="y",
        env="B-v1",
        stop={"training_iteration": 9, "timesteps_total": 100},
        checkpoint={"checkpoint_frequency": 1},
        num_samples=None,
        storage_path="s3://bucket/results/",
    )
    assert changed.config == {"env": "B-v1"}
    assert changed.stop == {
        "training_iteration": 9,
        "time_total_s": 60,
        "num_env_steps_sampled_lifetime": 100,
    }
    assert changed.checkpoint == {
        "checkpoint_at_end": False,
        "num_to_keep": 2,
        "checkpoint_frequency": 1,
    }
    assert changed.num_samples == 3
    assert changed.directory() == "s3://bucket/results/y"
    assert "timesteps_total" in changed.notes[0]
