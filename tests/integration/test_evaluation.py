"""Playing from a checkpoint alone."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny import tiny_config

from rllib_dreamerv3.checkpoints import tensors
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.plugin.playing import play
from rllib_dreamerv3.plugin.rl_module import DreamerV3RLModule


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


def test_module_of_a_checkpoint_acts_in_a_loop_of_the_users_own(checkpoint):
    path = f"{checkpoint}/learner_group/learner/rl_module/default_policy"
    module = DreamerV3RLModule.from_checkpoint(path)
    saved = tensors.load(Path(path, "arrays.safetensors"))
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
