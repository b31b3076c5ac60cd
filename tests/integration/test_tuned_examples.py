"""Every tuned example is what it claims to be: valid as it stands, and able to train."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ray.tune.search.variant_generator import generate_variants
from tiny import TINY

from rllib_cli.experiments import from_file
from rllib_dreamerv3 import DreamerV3Config

EXAMPLES = Path(__file__).parents[2] / "tuned_examples"
YAML_FILES = sorted(EXAMPLES.glob("*.yaml"))


def first_config(file: Path) -> DreamerV3Config:
    """The config of a file's experiment; of a grid the first point."""
    (experiment,) = from_file(str(file))
    assert experiment.algorithm_name == "DreamerV3"
    _, first = next(generate_variants(dict(experiment.config)))
    return DreamerV3Config().update_from_dict(first)


def test_there_are_examples():
    names = {file.stem for file in YAML_FILES}
    assert {"atari", "atari_debug", "cartpole", "frozenlake_2x2", "pendulum", "sweep"} <= names


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_example_says_what_to_expect_and_when_to_stop(file):
    heading = file.read_text().split("\n\n")[0]
    assert "# Expected: " in file.read_text(), heading
    (experiment,) = from_file(str(file))
    assert experiment.stop


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_example_is_valid_and_trains_one_tiny_iteration(file):
    config = first_config(file)
    config.validate()
    config.training(**TINY).reporting(min_time_s_per_iteration=0)
    algorithm = config.build_algo()
    try:
        result = algorithm.train()
    finally:
        algorithm.stop()
    assert result["num_grad_updates_lifetime"] == 1
    learner = result["learners"]["default_policy"]
    for part in ("WORLD_MODEL", "ACTOR", "CRITIC"):
        assert np.isfinite(learner[f"{part}_L_total"])


def test_sweep_from_python_runs(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("tune_sweep", EXAMPLES / "tune_sweep.py")
    sweep = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sweep)
    config = sweep.sweep_config().training(
        model_size="nano",
        batch_size_B=2,
        batch_length_T=8,
        horizon_H=3,
        num_steps_sampled_before_learning_starts=32,
    )
    monkeypatch.setattr(sweep, "sweep_config", lambda: config.reporting(min_time_s_per_iteration=0))
    results = sweep.run(env_steps=40, storage_path=str(tmp_path))
    assert len(results) == 2
    assert not results.errors
