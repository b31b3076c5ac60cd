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


def test_options_of_a_config_win_over_the_files_and_merge_with_its_mappings():
    said = Experiment(
        "x",
        "DreamerV3",
        {
            "env": "A-v1",
            "gamma": {"grid_search": [0.9, 0.99]},
            "seed": 1,
            "replay_buffer_config": {"capacity": 1000, "storage": "disk"},
            "env_config": {"grid_search": [{"a": 1}, {"a": 2}]},
        },
    )
    changed = said.changed(
        config={"seed": 3, "gamma": 0.5, "replay_buffer_config": {"capacity": 1e5}},
        env_config={"b": 3},
    )
    assert changed.config == {
        "env": "A-v1",
        "gamma": 0.5,
        "seed": 3,
        "replay_buffer_config": {"capacity": 100_000, "storage": "disk"},
        "env_config": {"b": 3},
    }
    with pytest.raises(InputError, match=r"'sed'\. Did you mean 'seed'"):
        said.changed(config={"sed": 3})
    with pytest.raises(InputError, match="gamma"):
        Experiment("x", "DreamerV3", {"env": "A-v1"}).changed(config={"gamma": 2.0})


def test_options_of_a_config_win_over_those_of_a_python_file():
    class Algorithm: ...

    changed = Experiment("x", Algorithm, {"env": "A-v1", "seed": None}).changed(config={"seed": 3})
    assert changed.config == {"env": "A-v1", "seed": 3}
