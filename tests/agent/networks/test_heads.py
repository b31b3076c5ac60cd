import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.networks.decoder import Decoder
from rllib_dreamerv3.agent.networks.heads import Actor, ContinueHead, TwoHotHead

NANO = synthetic.NANO


def rng():
    return np.random.default_rng(0)


def test_reward_and_critic_logits_are_zero_at_the_start():
    logits = TwoHotHead(NANO, 1, rng())(synthetic.states(NANO, 3))
    np.testing.assert_array_equal(logits, np.zeros((3, 255)))


def test_continue_and_actor_are_not_constant_at_the_start():
    state = synthetic.states(NANO, 50)
    continues = ContinueHead(NANO, rng())(state)
    assert continues.shape == (50,)
    assert np.std(continues) > 0.01
    actor = Actor(NANO, synthetic.MIXED, rng())
    assert np.std(actor(state).mode(), 0).max() > 0.01
    assert actor(state).entropy().shape == (50,)


@pytest.mark.parametrize("mix", [0.0, 0.3])
def test_share_of_the_uniform_distribution_in_actions_is_the_actors_own(mix):
    """Of choices whose logits are far apart, the least likely keeps its part of the share."""
    settings = dataclasses.replace(NANO, actor_unimix=mix, unimix=0.1)
    actor = Actor(settings, synthetic.DISCRETE, rng())
    choices = synthetic.DISCRETE.size
    ((output,),) = actor.outputs
    output.bias.assign(np.array([80.0] + [0.0] * (choices - 1), np.float32))
    policy = actor(synthetic.states(settings, 4))
    least = np.exp(policy.log_prob(tf.one_hot([1] * 4, choices)))
    np.testing.assert_allclose(least, mix / choices, atol=1e-6)
    assert np.isfinite(policy.entropy()).all()


def heads():
    yield "two-hot", TwoHotHead(NANO, 1, rng()), lambda y: y
    yield "continue", ContinueHead(NANO, rng()), lambda y: y
    actor = Actor(NANO, synthetic.CONTINUOUS, rng())
    yield "actor", actor, lambda y: tf.concat([y.mode(), y.entropy()[:, None]], -1)
    decoder = Decoder(synthetic.EVERYTHING, NANO, rng())
    yield "decoder", decoder, lambda y: tf.concat([tf.reshape(x, [-1]) for x in y.values()], 0)


@pytest.mark.parametrize(("head", "read"), [pytest.param(h, r, id=i) for i, h, r in heads()])
def test_index_and_dense_states_give_the_same_outputs_and_gradients(head, read):
    """The sum of kernel rows is the product with one-hot vectors, forwards and backwards."""
    synthetic.scramble(head)
    index_only = synthetic.states(NANO, 9)
    results = []
    for state in (index_only, index_only.with_dense_z(NANO.classes)):
        with tf.GradientTape() as tape:
            tape.watch(state.h)
            y = read(head(state))
            loss = tf.reduce_sum(tf.sin(y))
        results.append([y, *tape.gradient(loss, [state.h, *head.trainable_variables])])
    for (position, a), b in zip(enumerate(results[0]), results[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=str(position))


def test_gradient_of_a_state_as_data():
    state = synthetic.states(NANO, 2).with_dense_z(NANO.classes)
    head = TwoHotHead(NANO, 1, rng())
    synthetic.scramble(head)
    with tf.GradientTape() as tape:
        tape.watch([state.h, state.z])
        loss = tf.reduce_sum(head(state.stop_gradient()) ** 2)
    assert tape.gradient(loss, [state.h, state.z]) == [None, None]
