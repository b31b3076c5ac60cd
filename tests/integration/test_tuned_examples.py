"""Every tuned example is what it claims to be: valid as it stands, and able to train."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from ray.tune.search.variant_generator import generate_variants
from tiny import TINY

from rllib_cli.experiments import from_file
from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.envs.registry import check_environment, is_benchmark, options_of
from rllib_dreamerv3.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "tuned_examples"
YAML_FILES = sorted(EXAMPLES.glob("*.yaml"))


def first_config(file: Path) -> DreamerV3Config:
    """The config of a file's experiment; of a grid the first point."""
    (experiment,) = from_file(str(file))
    assert experiment.algorithm_name == "DreamerV3"
    _, first = next(generate_variants(dict(experiment.config)))
    return DreamerV3Config().update_from_dict(first)


def missing_package(config: DreamerV3Config) -> str | None:
    """What the environment lacks on this machine, as the user is told; None if nothing."""
    try:
        check_environment(config.env, config.env_config)
    except ConfigError as error:
        return str(error)
    return None


def test_there_are_examples():
    names = {file.stem for file in YAML_FILES}
    assert {"atari", "atari_debug", "cartpole", "frozenlake_2x2", "pendulum", "sweep"} <= names
    assert {"atari100k_v2", "atari200m", "dmc_proprio", "dmc_vision"} <= names
    assert {"crafter", "bsuite", "minigrid"} <= names


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_example_says_what_to_expect_and_when_to_stop(file):
    heading = file.read_text().split("\n\n")[0]
    assert "# Expected: " in file.read_text(), heading
    (experiment,) = from_file(str(file))
    assert experiment.stop


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_example_is_valid_whether_or_not_its_package_is_installed(file):
    config = first_config(file)
    if is_benchmark(config.env):
        options_of(config.env, config.env_config)
    missing = missing_package(config)
    if missing:
        extra = re.search(r"pip install 'rllib-dreamerv3\[(\w+)\]'", missing)
        assert extra, missing
        assert f"pip install 'rllib-dreamerv3[{extra[1]}]'" in file.read_text()
        with pytest.raises(ConfigError, match=re.escape(missing)):
            config.validate()
        config.environment("CartPole-v1", env_config={})
    config.validate()


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_example_trains_one_tiny_iteration(file):
    config = first_config(file)
    missing = missing_package(config)
    if missing:
        # The packages of some benchmarks bring pillow, without which all else is tested here; the
        # message says what to install. What can be checked without them, the test above does.
        pytest.skip(missing)
    # The smallest of the same variant.
    smallest = "1M" if re.fullmatch(r"\d+M", config.model_size) else "nano"
    config.training(**TINY).training(model_size=smallest)
    config.reporting(min_time_s_per_iteration=0)
    config.env_runners(num_envs_per_env_runner=min(2, config.num_envs_per_env_runner))
    algorithm = config.build_algo()
    try:
        result = algorithm.train()
        # Each environment has to fill a row before the first update.
        while "num_grad_updates_lifetime" not in result and algorithm.iteration < 10:
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
