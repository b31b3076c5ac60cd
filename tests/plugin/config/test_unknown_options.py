"""Options that are misspelt, or given to another method of the config than theirs."""

import inspect

import pytest
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.errors import ConfigError

WRONG = {
    "learners": ({"num_learner": 2}, "Unknown learners option 'num_learner'.*'num_learners'"),
    "debugging": ({"sed": 1}, "Unknown debugging option 'sed'.*'seed'"),
    "training": (
        {"sampling": "asynchronous"},
        r"not an option of .training.*\.env_runners\(sampling=",
    ),
    "env_runners": ({"num_learners": 1}, r"set it with \.learners\(num_learners="),
}


@pytest.mark.parametrize("method", WRONG)
def test_the_nearest_option_or_its_method_is_named(method):
    options, message = WRONG[method]
    with pytest.raises(ConfigError, match=message):
        getattr(DreamerV3Config(), method)(**options)


@pytest.mark.parametrize("method", ["callbacks", "debugging", "learners", "resources", "rl_module"])
def test_a_method_takes_what_rllibs_takes(method):
    ours, theirs = getattr(DreamerV3Config, method), getattr(AlgorithmConfig, method)
    assert inspect.signature(ours) == inspect.signature(theirs)


def test_right_options_are_set():
    config = DreamerV3Config().learners(num_learners=2).debugging(seed=3)
    assert (config.num_learners, config.seed) == (2, 3)


@pytest.mark.parametrize("name", ["batch_size_B", "num_learners"])
def test_minus_one_stays_what_was_set(name):
    """RLlib's config takes it for no value when an algorithm copies it."""
    config = DreamerV3Config().update_from_dict({name: -1})
    assert getattr(DreamerV3Config.from_state(config.get_state()), name) == -1
