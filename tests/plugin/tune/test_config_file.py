"""The config as people read it."""

import gymnasium as gym
import numpy as np
import pytest
import yaml
from ray.rllib.algorithms.ppo import PPOConfig

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.tune.config_yaml import described


class Corridor(gym.Env):
    pass


def read(config):
    return yaml.safe_load(described(config))


def test_only_what_was_changed_is_called_changed():
    assert read(DreamerV3Config())["changed"] == {}
    config = DreamerV3Config().environment("CartPole-v1").training(model_size="nano", gamma=0.9)
    config.env_runners(num_envs_per_env_runner=3)
    assert read(config)["changed"] == {
        "env": "CartPole-v1",
        "model_size": "nano",
        "gamma": 0.9,
        "num_envs_per_env_runner": 3,
    }


@pytest.mark.parametrize(("size", "year"), [("S", "v1"), ("12M", "v2")])
def test_every_option_is_there_as_it_counts(size, year):
    options = read(DreamerV3Config().training(model_size=size))["options"]
    assert not set(OPTIONS) - set(options)
    assert options["variant"] == year
    for name, row in OPTIONS.items():
        if row.is_late:
            assert options[name] == row.default(year), name
    capacity = {"v1": 1_000_000, "v2": 5_000_000}
    assert options["replay_buffer_config"]["capacity"] == capacity[year]
    # RLlib's own.
    assert options["num_env_runners"] == 0


def test_defaults_of_the_other_version_are_a_change():
    changed = read(DreamerV3Config().training(model_size="S", variant="v2"))["changed"]
    assert changed == {"model_size": "S", "variant": "v2"}


def test_what_is_no_plain_value_is_named():
    config = DreamerV3Config().environment(Corridor, env_config={"n": np.float32(0.5), "a": (1,)})
    options = read(config)["options"]
    assert options["env"].endswith("test_config_file.Corridor")
    assert options["env_config"] == {"n": 0.5, "a": [1]}


def test_other_algorithms_have_one_too():
    assert read(PPOConfig().training(lr=0.5))["changed"] == {"lr": 0.5}


def test_config_file_lists_versions():
    versions = read(DreamerV3Config())["versions"]
    assert {"rllib-dreamerv3", "ray", "tensorflow", "python"} <= set(versions)
    assert versions["tensorflow"].startswith("2.")
