"""A policy loaded from a checkpoint acts as the module that was trained."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from tiny import tiny_config

from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.errors import CheckpointError, SpaceError
from rllib_dreamerv3.exporting.loaded_policy import load_policy
from rllib_dreamerv3.spaces.codecs import Spaces

NESTED = Dict(
    {"camera": Box(0, 255, (32, 32, 3), np.uint8), "rest": Tuple([Discrete(3), Box(-1, 1, (2,))])}
)


class Nested(gym.Env):
    """An image, a class and numbers; two choices and a number between 2 and 6."""

    observation_space = NESTED
    action_space = Dict({"choose": MultiDiscrete([2, 3]), "move": Box(2, 6, (1,))})

    def __init__(self, env_config):
        pass

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        NESTED.seed(seed)
        return NESTED.sample(), {}

    def step(self, action):
        return NESTED.sample(), 1.0, self.np_random.random() < 0.1, False, {}


@pytest.fixture(scope="module", params=["v1", "v2"])
def trained(request, tmp_path_factory):
    """A checkpoint, its module, and observations."""
    config = tiny_config("CartPole-v1" if request.param == "v1" else Nested, variant=request.param)
    algorithm = config.build_algo()
    algorithm.train()
    path = tmp_path_factory.mktemp("results") / "checkpoint_000000"
    algorithm.save_to_path(path)
    space = algorithm.env_runner.env.single_observation_space
    space.seed(0)
    yield path, algorithm.learner_group._learner.module["default_policy"], space
    algorithm.stop()


def observations(space, steps):
    if isinstance(space, Box):  # CartPole's speeds have no bounds.
        rng = np.random.default_rng(0)
        return [rng.normal(size=4).astype(np.float32) for _ in range(steps)]
    return [space.sample() for _ in range(steps)]


def with_axes(nested):
    if isinstance(nested, dict):
        return {key: with_axes(x) for key, x in nested.items()}
    if isinstance(nested, tuple):
        return tuple(with_axes(x) for x in nested)
    return np.asarray(nested)[None, None]


def flat(nested):
    if isinstance(nested, dict):
        return np.concatenate([flat(x) for x in nested.values()])
    return np.ravel(nested)


@pytest.mark.parametrize("mode", ["sample", "mode"])
def test_acts_as_the_module_does(trained, mode):
    path, module, space = trained
    policy = load_policy(path.parent, mode=mode, seed=7)
    module._rng = np.random.default_rng(7)
    forward = module.forward_exploration
    if mode == "mode":
        module.model_config["evaluation_action"] = "mode"
        forward = module.forward_inference
    state = {name: x[None] for name, x in module.get_initial_state().items()}
    for observation in observations(space, 20):
        out = forward({"obs": with_axes(observation), "state_in": state})
        state = out["state_out"]
        np.testing.assert_array_equal(flat(policy(observation)), flat(out["actions"]))
        np.testing.assert_array_equal(policy.state.h, state["h"])
    assert policy.spaces.observation == space


def test_environments_at_once_and_states_to_put_back(trained):
    path, _, space = trained
    policy = load_policy(path, mode="mode", seed=1)
    batch = gym.vector.utils.concatenate(
        space, observations(space, 3), gym.vector.utils.create_empty_array(space, 3)
    )
    policy(batch)
    kept = copy.deepcopy(policy.state)
    first = flat(policy(batch))
    policy.state = kept
    policy.reset(seed=1)
    policy(batch)
    np.testing.assert_array_equal(flat(policy(batch)), first)
    # An episode that begins forgets what was before it.
    before = policy.state.h.copy()
    policy(batch, is_first=np.array([True, False, False]))
    begun = policy.state.h
    policy.reset()
    policy(batch)
    np.testing.assert_allclose(policy.state.h[0], begun[0], atol=1e-5)
    assert not np.allclose(before, begun)


def test_values_are_asked_for_without_being_remembered(trained):
    path, module, space = trained
    two_hot = make_two_hot("symlog" if module.settings.sequence_model == "gru" else "symexp")
    policy = load_policy(path, seed=3)
    (observation, *_) = observations(space, 1)
    policy(observation)
    before = policy.state.h.copy()
    value = policy.value(observation)
    assert isinstance(value, float)
    assert policy.value(observation) == value
    of_module = two_hot.mean(module.model.critic(State(policy.state.h, policy.state.index)))
    of_policy = policy._values(policy.state.h, policy.state.index)
    np.testing.assert_array_equal(of_policy, of_module)
    np.testing.assert_array_equal(policy.state.h, before)
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        policy.value(
            gym.vector.utils.concatenate(
                space, [observation] * 2, gym.vector.utils.create_empty_array(space, 2)
            )
        )


def spoilt(observation):
    return observation | {"camera": observation["camera"] / np.float32(255)}


def test_wrong_observations_are_reported(trained):
    path, _, space = trained
    policy = load_policy(path)
    wrong = np.zeros(7) if isinstance(space, Box) else {"camera": 3}
    with pytest.raises(ValueError, match=r"shapes \(7,\) instead of \(4,\)|must have the"):
        policy(wrong)
    (observation, *_) = observations(space, 1)
    bad = observation * np.float32(np.nan) if isinstance(space, Box) else spoilt(observation)
    # Nothing is said of replay, of which there is none here.
    message = "observation of environment 0 has NaN|observation has at 'camera' float32, but pixels"
    with pytest.raises(ValueError, match=message) as error:
        policy(bad)
    assert "replay" not in str(error.value)
    empty = gym.vector.utils.create_empty_array(space, 0)
    with pytest.raises(ValueError, match="0 environments"):
        policy(empty)
    with pytest.raises(TypeError, match=r"A policy's state must be None .* not 5"):
        policy.state = 5
    assert policy.state is None
    with pytest.raises(CheckpointError, match="There is no directory"):
        load_policy(path / "elsewhere")


@pytest.mark.parametrize("trained", ["v1"], indirect=True)
def test_other_modes_are_refused(trained):
    path, *_ = trained
    with pytest.raises(ValueError, match="mode must be 'sample' or 'mode', not 'Mode'"):
        load_policy(path, mode="Mode")


@pytest.mark.parametrize("trained", ["v1"], indirect=True)  # The page acts in CartPole.
def test_the_loop_of_the_documentation_plays_an_episode(trained):
    path, _, _ = trained
    page = (Path(__file__).parents[2] / "docs" / "acting.md").read_text()
    (loop,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(loop.replace("~/ray_results/default", str(path.parent)), names)
    assert names["done"]


@pytest.mark.parametrize("trained", ["v2"], indirect=True)
def test_ray_is_not_needed(trained):
    path, _, _ = trained
    program = (
        "import sys; from rllib_dreamerv3.exporting.loaded_policy import load_policy\n"
        f"policy = load_policy({str(path)!r})\n"
        "policy(policy.spaces.observation.sample())\n"
        "assert 'ray' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


@pytest.mark.parametrize("trained", ["v1"], indirect=True)
def test_acts_in_spaces_that_look_the_same_and_in_no_others(trained):
    path, _, space = trained
    bounded = Box(-3, 3, (4,), np.float32)
    policy = load_policy(path, seed=5, spaces=Spaces(bounded, Discrete(2, start=7)))
    other = load_policy(path, seed=5)
    for observation in observations(space, 10):
        assert policy(observation) == other(observation) + 7
    assert policy.spaces.observation == bounded
    with pytest.raises(SpaceError, match=r"acts in Discrete\(2\); the environment has"):
        load_policy(path, spaces=Spaces(space, Discrete(3)))
