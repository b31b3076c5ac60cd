"""Acting with the module alone, as RLlib's users write it."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from tiny import tiny_config

from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule

SPACE = Dict({"camera": Box(0, 255, (32, 32, 3), np.uint8), "rest": Tuple([Discrete(4)])})


def make_module(space, action_space=None):
    config = tiny_config()
    return DreamerV3RLModule(
        observation_space=space,
        action_space=action_space or Discrete(2),
        inference_only=True,
        model_config=config._model_config_auto_includes,
    )


@pytest.fixture(scope="module")
def module():
    return make_module(Box(-1, 1, (4,)))


def batch_of(module, n=1, **changes):
    state = {
        name: np.broadcast_to(x, (n, *x.shape)) for name, x in module.get_initial_state().items()
    }
    return {"obs": np.zeros((n, 1, 4), np.float32), "state_in": state, **changes}


def test_acts_for_several_environments(module):
    out = module.forward_inference(batch_of(module, 3))
    assert out["actions"].shape == (3, 1)
    again = module.forward_inference(batch_of(module, 3, state_in=out["state_out"]))
    assert not np.allclose(out["state_out"]["h"], again["state_out"]["h"])


def test_acts_on_nested_observations():
    module = make_module(SPACE)
    state = {name: x[None] for name, x in module.get_initial_state().items()}
    obs = {"camera": np.zeros((1, 1, 32, 32, 3), np.uint8), "rest": (np.array([[3]]),)}
    assert module.forward_exploration({"obs": obs, "state_in": state})["actions"].shape == (1, 1)
    obs["camera"] = obs["camera"][0]
    with pytest.raises(ValueError, match=r"'obs' at 'camera' has the shape \(1, 32, 32, 3\) ins"):
        module.forward_exploration({"obs": obs, "state_in": state})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b.pop("obs"), "The batch has no 'obs'"),
        (lambda b: b.pop("state_in"), "'state_in', the state that .* keys h, index, action, is_f"),
        (lambda b: b.update(state_in={"h": np.zeros((1, 16))}), "with the keys h, index"),
        (lambda b: b.update(obs=np.zeros((1, 4))), r"shape \(1, 4\) instead of \(1, 1, 4\)"),
        (lambda b: b.update(obs=np.zeros((1, 1, 7))), r"\(1, 1, 7\) instead of \(1, 1, 4\)"),
        (lambda b: b.update(obs=np.zeros((2, 1, 4))), r"\(2, 1, 4\) instead of \(1, 1, 4\)"),
        (
            lambda b: b.update(state_in={k: x[0] for k, x in b["state_in"].items()}),
            r"'h' of shape \(16,\) instead of \(B, 16\)",
        ),
    ],
)
def test_says_how_to_act(module, change, words):
    batch = batch_of(module)
    change(batch)
    with pytest.raises(ValueError, match=words) as error:
        module.forward_inference(batch)
    assert "get_initial_state()" in str(error.value)


def test_the_loop_of_the_documentation_plays_an_episode(module):
    page = (Path(__file__).parents[3] / "docs" / "migrating.md").read_text()
    (loop,) = re.findall(r"## Acting.*?```python\n(.*?)```", page, re.DOTALL)

    class Trained:
        def get_module(self):
            return make_module(env.observation_space, env.action_space)

    env = gym.make("CartPole-v1")
    names = {"algorithm": Trained(), "env": env}
    exec(loop, names)
    assert names["done"]
