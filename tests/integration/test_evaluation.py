"""Playing from a checkpoint alone."""

import itertools
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from tiny import tiny_config

from rllib_cli.rollouts import play
from rllib_dreamerv3.checkpoints import manifest, tensors
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE, POLICY_FILE
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint of a tiny CartPole run, whose policy prefers to push to the left."""
    algorithm = tiny_config().build_algo()
    algorithm.train()
    ((output,),) = algorithm.learner_group._learner.trainer.model.actor.outputs
    output.kernel.assign(tf.zeros_like(output.kernel))
    output.bias.assign([0.3, 0.0])
    path = algorithm.save_to_path(str(tmp_path_factory.mktemp("run") / "checkpoint"))
    algorithm.stop()
    return path


def test_plays_the_number_of_episodes_asked_for(checkpoint):
    episodes = list(play(checkpoint, episodes=3))
    assert len(episodes) == 3
    # In CartPole every step is rewarded with 1.
    assert all(episode.ret == episode.length >= 5 for episode in episodes)


def test_plays_the_policy_of_the_checkpoint(checkpoint):
    """A pole that is always pushed to the left falls within 11 steps, at random after 22."""
    episodes = list(play(checkpoint, episodes=20, action="mode"))
    assert all(8 <= episode.length <= 11 for episode in episodes)
    sampled = list(play(checkpoint, episodes=20, action="sample"))
    assert max(episode.length for episode in sampled) > 11


def test_stops_in_the_episode_that_reaches_the_steps(checkpoint):
    lengths = [episode.length for episode in play(checkpoint, steps=30)]
    assert sum(lengths) >= 30 > sum(lengths[:-1])


def test_policy_that_does_not_fit_the_environment_is_refused(checkpoint):
    with pytest.raises(CheckpointError, match="Acrobot"):
        next(play(checkpoint, env="Acrobot-v1", episodes=1))


def test_directory_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="not a complete checkpoint"):
        next(play(tmp_path, episodes=1))


class Paid(gym.Env):
    """Pays what the one number of an action is, ten times, in bounds that are not [-1, 1]."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Box(20, 60, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), float(action[0]), self.steps == 10, False, {}


gym.register("Paid-v0", Paid)


def mean_payment(checkpoint):
    return next(play(checkpoint, episodes=1)).ret / 10


def test_actions_are_scaled_as_in_training(build, tmp_path):
    config = tiny_config("Paid-v0").environment(normalize_actions=False)
    path = Path(build(config).save_to_path(tmp_path / "checkpoint"))
    assert -1 <= mean_payment(path) <= 1
    module = DreamerV3RLModule.from_checkpoint((path / NETWORKS_FILE).parent)
    assert np.abs(module.actions.decode(np.float32([[-1], [1]]))).max() == 1
    policy = json.loads((path / POLICY_FILE).read_text())

    # Checkpoints of before this was an option do not have it.
    for name in ("normalize_actions", "clip_actions"):
        del policy["options"][name]
    (path / POLICY_FILE).write_text(json.dumps(policy))
    manifest.write(path, env_steps=0, updates=0)
    assert 20 <= mean_payment(path) <= 60


def test_module_of_a_checkpoint_acts_in_a_loop_of_the_users_own(checkpoint):
    module = DreamerV3RLModule.from_checkpoint(Path(checkpoint, NETWORKS_FILE).parent)
    saved = tensors.load(Path(checkpoint, NETWORKS_FILE))
    for name, value in module.get_state().items():
        np.testing.assert_array_equal(value, saved[name])
    state = {key: value[None] for key, value in module.get_initial_state().items()}
    actions = set()
    for step in range(20):
        observation = np.full((1, 1, 4), 0.01 * step, np.float32)
        output = module.forward_inference({"obs": observation, "state_in": state})
        state = output["state_out"]
        assert output["actions"].shape == (1, 1)
        actions.add(int(output["actions"][0, 0]))
    assert actions == {0, 1}
    assert np.any(state["h"])


def test_weights_in_the_checkpoint_are_plain_arrays_by_name(checkpoint):
    weights = tensors.load(Path(checkpoint, NETWORKS_FILE))
    parts = {name.split("/")[0] for name in weights}
    assert set(itertools.chain(["encoder", "rssm", "decoder"], ["actor", "slow_critic"])) <= parts
