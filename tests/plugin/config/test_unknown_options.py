"""Options that are misspelt, or given to another method of the config than theirs."""

import inspect
import re

import pytest
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.sac import SACConfig

from rllib_cli.errors import InputError
from rllib_cli.experiments import from_options
from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.unknown_options import OTHERS

WRONG = {
    "learners": ({"num_learner": 2}, "Unknown learners option 'num_learner'.*'num_learners'"),
    "debugging": ({"sed": 1}, "Unknown debugging option 'sed'.*'seed'"),
    "training": (
        {"sampling": "asynchronous"},
        r"Unknown training option 'sampling': set it with \.env_runners\(sampling=",
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


PPOS = {"clip_param": 0.2, "vf_clip_param": 10.0, "kl_coeff": 0.2, "entropy_coeff": 0.0}


@pytest.mark.parametrize(
    "set_options",
    [
        lambda options: DreamerV3Config().training(**options),
        lambda options: DreamerV3Config().update_from_dict(options),
        lambda options: from_options("DreamerV3", "CartPole-v1", options),
    ],
    ids=["method", "dict", "command"],
)
def test_options_of_other_algorithms_are_named_all_at_once(set_options):
    with pytest.raises((ConfigError, InputError)) as caught:
        set_options({**PPOS, "batch_sise_B": 4})
    assert str(caught.value).splitlines()[1:] == [
        "  'clip_param': PPO's; DreamerV3 has no clipping: leave it out.",
        "  'vf_clip_param': PPO's; DreamerV3 has no clipping: leave it out.",
        "  'kl_coeff': PPO's; DreamerV3 has no KL penalty on the policy: leave it out.",
        "  'entropy_coeff': PPO's; set entropy_scale instead.",
        "  'batch_sise_B': Did you mean 'batch_size_B'?",
    ]


def test_what_other_algorithms_options_are_reported_is_possible_here():
    """No name of theirs is an option here, and each option that is advised exists."""
    known = vars(DreamerV3Config()).keys()
    for name, hint in OTHERS.items():
        assert name not in known
        advised = re.search(r"set (\w+)(?: instead|,|$)", hint)
        assert advised is None or advised[1] in known, hint
    theirs = (PPOConfig, APPOConfig, IMPALAConfig, SACConfig, DQNConfig)
    others = {"learning_rate", "model_dimension", "num_sgd_iter", "sgd_minibatch_size"}
    assert OTHERS.keys() - others <= {
        name for config in theirs for name in inspect.signature(config.training).parameters
    }


@pytest.mark.parametrize("name", ["clip_range", "num_epoch", "disable_env_check", "is_froze"])
def test_what_is_not_meant_or_does_nothing_is_not_suggested(name):
    with pytest.raises(ConfigError, match="No valid name is similar"):
        DreamerV3Config().update_from_dict({name: 1})


@pytest.mark.parametrize(
    ("method", "instead"),
    [("rollouts", r"\.env_runners\(\)"), ("exploration", r"\.env_runners\(explore=False\)")],
)
def test_former_methods_say_what_to_call_instead(method, instead):
    with pytest.raises(ConfigError, match=rf"^\.{method}\(\) is not supported: .*{instead}"):
        getattr(DreamerV3Config(), method)(x=1)


def test_right_options_are_set():
    config = DreamerV3Config().learners(num_learners=2).debugging(seed=3)
    assert (config.num_learners, config.seed) == (2, 3)


@pytest.mark.parametrize("name", ["batch_size_B", "num_learners"])
def test_minus_one_stays_what_was_set(name):
    """RLlib's config takes it for no value when an algorithm copies it."""
    config = DreamerV3Config().update_from_dict({name: -1})
    assert getattr(DreamerV3Config.from_state(config.get_state()), name) == -1
