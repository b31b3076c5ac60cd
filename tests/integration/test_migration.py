"""Settings of RLlib's published DreamerV3 examples run with the import changed, and little else.

What each example sets is written out below. Where that is refused here, the refusal says what to
write instead, in one sentence; with that done the example trains. Environments whose packages are
not among those of the tests are stood in for by their spaces.
"""

import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from ray import cloudpickle, tune
from ray.rllib.env.wrappers.atari_wrappers import MaxAndSkipEnv, NormalizedImageEnv
from tiny import TINY

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.envs.atari import warn_of_single_frames
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.spaces.layout import (
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    Vector,
)

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

Settings = dict[str, dict[str, Any]]
"""Method of the config -> what it is called with."""


class Example(NamedTuple):
    """One of RLlib's examples.

    Attributes:
        settings: As published.
        refused: Option -> what its error has to say, in the order in which they come up.
        instead: What to write for those.
        observation: What is learned from.
        action: What is learned to do.
    """

    settings: Settings
    refused: dict[str, str]
    instead: Settings
    observation: Any
    action: Any


# ---- Environments ----------------------------------------------------------------------------


class StandIn(gym.Env):
    """Random observations, and episodes of 20 steps."""

    def __init__(self, observation_space: gym.Space, action_space: gym.Space) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self._steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action)
        self._steps += 1
        return self.observation_space.sample(), 1.0, self._steps == 20, False, {}


def numbers(*shape: int, most: float = np.inf, dtype: Any = np.float64) -> spaces.Box:
    return spaces.Box(-most, most, shape, dtype)


def pong_as_wrapped(config: dict) -> gym.Env:
    """RLlib's wrappers but for those that resize, which need OpenCV: we resize as well."""
    gym.register_envs(ale_py)
    return MaxAndSkipEnv(NormalizedImageEnv(gym.make("ale_py:ALE/Pong-v5", **config)))


MAKERS: dict[str, Callable[[Any], gym.Env]] = {
    "wrapped-atari": pong_as_wrapped,
    # RLlib's wrapper of DMC shifts pixels by one half.
    "dmc-cartpole-swingup": lambda config: StandIn(
        spaces.Box(-0.5, 0.5, (64, 64, 3), np.float32), numbers(1, most=1, dtype=np.float32)
    ),
    "intersection": lambda config: StandIn(numbers(15, 7, dtype=np.float32), spaces.Discrete(3)),
    "flappy-bird": lambda config: NormalizedImageEnv(
        StandIn(spaces.Box(0, 255, (64, 64, 3), np.uint8), spaces.Discrete(2))
    ),
    "adroit-hand-hammer": lambda config: StandIn(
        numbers(46), numbers(26, most=1, dtype=np.float32)
    ),
    "humanoid": lambda config: StandIn(numbers(376), numbers(17, most=0.4, dtype=np.float32)),
}


# ---- Settings --------------------------------------------------------------------------------

DEFAULTS = DreamerV3Config()
ATARI = {"repeat_action_probability": 0.0, "full_action_space": False, "frameskip": 1}
QUIET = {
    "report_images_and_videos": False,
    "report_dream_data": False,
    "report_individual_batch_item_stats": False,
}
# Settings of a few of them for environments in separate processes.
PROCESSES = {"remote_worker_envs": 'set gym_env_vectorize_mode: "async"'}
IN_TURN = {"env_runners": {"remote_worker_envs": False}}


def rates(factor: float) -> dict[str, float]:
    """The published rates, for a number of learners."""
    names = ("world_model_lr", "actor_lr", "critic_lr")
    return {name: getattr(DEFAULTS, name) * factor for name in names}


def rising(low: int, high: int) -> dict[str, list]:
    """The published schedule: low at first, and three times the rate from there on."""
    world, critic = DEFAULTS.world_model_lr, DEFAULTS.critic_lr
    of = {"world_model_lr": world, "critic_lr": critic, "actor_lr": critic}
    return {k: [[0, 0.4 * r], [low, 0.4 * r], [high, 3 * r]] for k, r in of.items()}


def on_gpus(gpus: int, size: str, ratio: int, env: str, **training: Any) -> Settings:
    """What the examples for several GPUs have in common."""
    return {
        "environment": {"env": env},
        "resources": {"num_cpus_for_main_process": 1},
        "learners": {
            "num_learners": 0 if gpus == 1 else gpus,
            "num_gpus_per_learner": 1 if gpus else 0,
        },
        "env_runners": {"num_envs_per_env_runner": 8 * (gpus or 1), "remote_worker_envs": True},
        "reporting": {"metrics_num_episodes_for_smoothing": gpus or 1, **QUIET},
        "training": {
            "model_size": size,
            "training_ratio": ratio,
            "batch_size_B": 16 * (gpus or 1),
            **training,
        },
    }


def small(env: str, size: str = "XS", **env_config: Any) -> Settings:
    return {
        "environment": {"env": env, "env_config": env_config},
        "training": {"model_size": size, "training_ratio": 1024},
    }


EXAMPLES = {
    "atari_100k": Example(
        {
            "environment": {"env": "wrapped-atari", "env_config": ATARI},
            "env_runners": {"remote_worker_envs": None, "num_envs_per_env_runner": 1},
            "reporting": {"metrics_num_episodes_for_smoothing": 1, **QUIET},
            "training": {
                "model_size": "S",
                "training_ratio": 1024,
                "batch_size_B": 16,
                **rates(1),
            },
        },
        {},
        {},
        Image("obs/image", 64, 64, 3, -1.0, 1.0, "float32"),
        DiscreteAction(6),
    ),
    "atari_200m": Example(
        {
            "resources": {"num_cpus_for_main_process": 8},
            "environment": {"env": "ale_py:ALE/Pong-v5", "env_config": ATARI},
            "env_runners": {"remote_worker_envs": True, "num_envs_per_env_runner": 8},
            "reporting": {"metrics_num_episodes_for_smoothing": 1, **QUIET},
            "training": {
                "model_size": "XL",
                "training_ratio": 64,
                "batch_size_B": 16,
                **rates(1),
            },
        },
        PROCESSES,
        IN_TURN,
        Image("obs/image", 64, 64, 3),
        DiscreteAction(6),
    ),
    "atari": Example(
        {
            "environment": {"env": "wrapped-atari", "env_config": ATARI},
            "env_runners": {"num_envs_per_env_runner": 2},
            "learners": {"num_aggregator_actors_per_learner": 2},
            "training": {"model_size": "XL", "training_ratio": 64, "batch_size_B": 16},
        },
        {"num_aggregator_actors_per_learner": "no aggregators. Leave it out"},
        {"learners": {"num_aggregator_actors_per_learner": 0}},
        Image("obs/image", 64, 64, 3, -1.0, 1.0, "float32"),
        DiscreteAction(6),
    ),
    "cartpole": Example(small("CartPole-v1"), {}, {}, Vector("obs/vector", 4), DiscreteAction(2)),
    "cartpole_with_a_learner_of_its_own": Example(
        # The command line of RLlib's examples: one learner, which is PyTorch's by default.
        {
            **small("CartPole-v1"),
            "framework": {"framework": "torch"},
            "learners": {"num_learners": 1, "num_gpus_per_learner": 0},
            "debugging": {"log_level": "INFO"},
        },
        {"framework": r"only on TensorFlow 2: leave .framework\(\) out"},
        {"framework": {"framework": "tf2"}},
        Vector("obs/vector", 4),
        DiscreteAction(2),
    ),
    "frozenlake_2x2": Example(
        small("FrozenLake-v1", desc=["SF", "HG"], is_slippery=False),
        {},
        {},
        Categorical("obs/state", (4,)),
        DiscreteAction(4),
    ),
    "frozenlake_4x4": Example(
        small("FrozenLake-v1", "nano", map_name="4x4", is_slippery=False),
        {},
        {},
        Categorical("obs/state", (16,)),
        DiscreteAction(4),
    ),
    "pendulum": Example(small("Pendulum-v1"), {}, {}, Vector("obs/vector", 3), ContinuousAction(1)),
    "mujoco": Example(
        {
            "environment": {"env": "humanoid"},
            "env_runners": {"num_env_runners": 4, "num_envs_per_env_runner": 4},
            "training": {"model_size": "S", "training_ratio": 512, "batch_size_B": 16},
        },
        {},
        {},
        Vector("obs/vector", 376),
        ContinuousAction(17),
    ),
    "dm_control_suite_vision": Example(
        on_gpus(1, "S", 512, "dmc-cartpole-swingup", **rates(1)),
        PROCESSES,
        IN_TURN,
        Image("obs/image", 64, 64, 3, -0.5, 0.5, "float32"),
        ContinuousAction(1),
    ),
    "flappy_bird": Example(
        on_gpus(0, "M", 64, "flappy-bird", **rising(8000, 10_000)),
        PROCESSES,
        IN_TURN,
        Image("obs/image", 64, 64, 3, -1.0, 1.0, "float32"),
        DiscreteAction(2),
    ),
    "highway_env": Example(
        on_gpus(4, "M", 64, "intersection", **rising(8000, 10_000)),
        PROCESSES,
        IN_TURN,
        Vector("obs/vector", 15 * 7),
        DiscreteAction(3),
    ),
    "gymnasium_robotics": Example(
        on_gpus(4, "XL", 64, "adroit-hand-hammer", **rising(50_000, 100_000)),
        PROCESSES,
        IN_TURN,
        Vector("obs/vector", 46),
        ContinuousAction(26),
    ),
}


def configured(*settings: Settings) -> DreamerV3Config:
    config = DreamerV3Config()
    for methods in settings:
        for method, arguments in methods.items():
            getattr(config, method)(**arguments)
    return config


def shrunk(config: DreamerV3Config) -> DreamerV3Config:
    """Nothing but what costs time, or what the machine of a test does not have."""
    config.training(**TINY).reporting(min_time_s_per_iteration=0)
    return config.learners(num_learners=0, num_gpus_per_learner=0).env_runners(
        num_env_runners=min(1, config.num_env_runners),
        num_envs_per_env_runner=min(2, config.num_envs_per_env_runner),
    )


@pytest.fixture(autouse=True, scope="module")
def registered():
    for name, make in MAKERS.items():
        tune.register_env(name, make)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_refused_says_in_a_sentence_what_to_write(name):
    example = EXAMPLES[name]
    config, left = configured(example.settings), dict(example.refused)
    while left:
        with pytest.raises(ConfigError) as info:
            config.validate()
        message = str(info.value)
        option = message.split()[0].rstrip(":")
        assert re.search(left.pop(option), message)
        assert len(message) < 250
        replace = next(x for x in example.instead.values() if option in x)
        method = next(m for m, x in example.instead.items() if option in x)
        getattr(config, method)(**{option: replace[option]})
    config.validate()


def one_of_each_kind() -> list:
    """All names; those whose kind another has before them are trained in long tests only."""
    known, names = set(), []
    for name, example in EXAMPLES.items():
        kind = type(example.observation), type(example.action)
        marks = [pytest.mark.long] if kind in known else []
        names.append(pytest.param(name, marks=marks))
        known.add(kind)
    return names


@pytest.mark.parametrize("name", one_of_each_kind())
def test_example_trains(name, build):
    example = EXAMPLES[name]
    config = shrunk(configured(example.settings, example.instead))
    algorithm = build(config)
    # Each environment has to fill a row before the first update.
    while algorithm.metrics.peek("num_grad_updates_lifetime", default=0) < 1:
        assert algorithm.iteration < 12
        result = algorithm.train()
    learner = algorithm.learner_group._learner
    assert learner.module["default_policy"].observations.layout.leaves == (example.observation,)
    assert learner.module["default_policy"].actions.layout.leaves == (example.action,)
    losses = result["learners"]["default_policy"]
    assert np.isfinite([losses[f"{x}_L_total"] for x in ("WORLD_MODEL", "ACTOR", "CRITIC")]).all()


def test_action_repeat_that_a_wrapper_did_is_missed_in_our_atari_alone(caplog):
    warn_of_single_frames.cache_clear()
    configured(EXAMPLES["atari_100k"].settings).validate()
    assert "frameskip" not in caplog.text
    configured(EXAMPLES["atari_200m"].settings, IN_TURN).validate()
    assert 'env_config {"frameskip": 1}' in caplog.text


def test_what_older_examples_called_the_size_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'model_dimension': .*model_size"):
        configured({"training": {"model_dimension": "XS"}})
