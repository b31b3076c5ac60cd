import math

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.layout import ActionLayout, ContinuousAction, DiscreteAction
from rllib_dreamerv3.losses.actor_critic import (
    Returns,
    actor_loss,
    critic_loss,
    imagined_returns,
)
from rllib_dreamerv3.losses.imagination import imagine
from rllib_dreamerv3.math.two_hot import make_two_hot
from rllib_dreamerv3.module.action_distribution import ActionDistribution

TWO_HOT = make_two_hot("symlog")
ONE = tf.constant(1.0)


def returns(advantage, values=None, weights=None):
    """`Returns` ``[H, N]`` of given advantages."""
    advantage = tf.constant(advantage, tf.float32)
    values = tf.zeros_like(advantage) if values is None else tf.constant(values, tf.float32)
    weights = tf.ones_like(advantage) if weights is None else tf.constant(weights, tf.float32)
    return Returns(values + advantage, values, weights)


def normal_with(entropy, log_prob):
    """Two-dimensional normals and actions that have these entropies and log-probabilities."""
    log_2_pi = math.log(2 * math.pi)
    std = np.exp((entropy - 1 - log_2_pi) / 2)
    std_raw = np.log((std - 0.1) / (1.0 - std)) - 2
    distance = std * np.sqrt(2 * (-2 * np.log(std) - log_2_pi - log_prob))
    layout = ActionLayout((ContinuousAction(2),))
    raw = tf.zeros([len(std), 2]), tf.constant(np.stack([std_raw, std_raw], -1), tf.float32)
    action = tf.constant(np.stack([distance, 0 * distance], -1), tf.float32)
    return ActionDistribution(layout, [raw], 0.01), action


# Returns


def test_imagined_returns_vector():
    inputs, expected, rtol, atol = case("lambda_return_imag_v1")
    column = {name: tf.constant(inputs[name][:, None], tf.float32) for name in ("rew", "val")}
    # Continue logits beyond 0 mean that the episode goes on; the first one comes from the record.
    logits = tf.constant(np.where(inputs["cont"], 0.1, -0.1)[:, None], tf.float32)
    logits = tf.concat([[[-5.0]], logits[1:]], 0)
    outcome = imagined_returns(
        column["rew"],
        logits,
        column["val"],
        tf.constant([False]),
        gamma=float(inputs["gamma"]),
        gae_lambda=float(inputs["lam"]),
    )
    np.testing.assert_allclose(outcome.returns[:, 0], expected["ret"], rtol, atol)
    np.testing.assert_array_equal(outcome.values, column["val"][:-1])
    np.testing.assert_allclose(outcome.weights[:, 0], expected["weight"][:-1], rtol, atol)


def test_trajectories_from_terminal_records_weigh_nothing():
    ones = tf.ones([4, 2])
    outcome = imagined_returns(
        ones, ones, ones, tf.constant([True, False]), gamma=0.5, gae_lambda=1.0
    )
    np.testing.assert_array_equal(outcome.weights, [[0, 1.0], [0, 0.5], [0, 0.25]])
    # 1 + (1 + (1 + 1 / 2) / 2) / 2 and so on, whatever the weight.
    np.testing.assert_allclose(outcome.returns[:, 1], [1.875, 1.75, 1.5])


def test_gradient_of_returns_reaches_rewards_and_values_but_not_continues():
    reward, logits, values = tf.ones([4, 2]), tf.ones([4, 2]), tf.ones([4, 2])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([reward, logits, values])
        outcome = imagined_returns(
            reward, logits, values, tf.constant([False, False]), gamma=0.5, gae_lambda=0.5
        )
    by_reward = tape.gradient(outcome.returns, reward)
    np.testing.assert_array_equal(by_reward[0], [0, 0])
    assert np.all(by_reward[1:] > 0)
    assert np.all(tape.gradient(outcome.returns, values)[1:] > 0)
    np.testing.assert_array_equal(
        tape.gradient(outcome.values, values), [[1, 1], [1, 1], [1, 1], [0, 0]]
    )
    assert tape.gradient(outcome.returns, logits) is None
    assert tape.gradient(outcome.weights, [reward, logits, values]) == [None] * 3


# Actor


def test_actor_vector():
    inputs, expected, rtol, atol = case("actor_loss")
    entropy, log_prob = inputs["entropy"], inputs["logpi"]
    policy, action = normal_with(entropy.astype(np.float64), log_prob.astype(np.float64))
    np.testing.assert_allclose(policy.entropy(), entropy, rtol)
    np.testing.assert_allclose(policy.log_prob(action), log_prob, rtol, 1e-5)

    def loss(steps):
        outcome = Returns(
            *(tf.constant(inputs[name][steps, None]) for name in ("ret", "val", "weight"))
        )
        policy, action = normal_with(
            *(inputs[name][steps].astype(np.float64) for name in ("entropy", "logpi"))
        )
        total, metrics = actor_loss(
            policy,
            action,
            outcome,
            tf.constant(float(inputs["S"])),
            entropy_scale=float(inputs["eta"]),
            through_dynamics=False,
        )
        return total, metrics

    total, metrics = loss(slice(None))
    np.testing.assert_allclose(total, expected["mean"], rtol, atol)
    np.testing.assert_allclose(metrics["entropy"], entropy.mean(), rtol)
    advantage = (inputs["ret"] - inputs["val"]) / inputs["S"]
    np.testing.assert_allclose(metrics["advantage_mean"], advantage.mean(), rtol)
    np.testing.assert_allclose(metrics["advantage_abs_mean"], np.abs(advantage).mean(), rtol)
    for t in range(3):
        np.testing.assert_allclose(
            loss(slice(t, t + 1))[0], expected["per_step"][t], rtol, atol=2e-6
        )


def descend(logits, action, advantage, entropy_scale=0.0, through_dynamics=False, rate=0.5):
    """Logits after one step of gradient descent on the actor's loss."""
    logits = tf.constant(logits, tf.float32)
    layout = ActionLayout((DiscreteAction(logits.shape[-1]),))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss, _ = actor_loss(
            ActionDistribution(layout, [(logits,)], 0.01),
            tf.one_hot(action, logits.shape[-1]),
            returns([advantage]),
            ONE,
            entropy_scale=entropy_scale,
            through_dynamics=through_dynamics,
        )
    return logits - rate * tape.gradient(loss, logits)


def test_descent_makes_actions_of_positive_advantage_likelier():
    before = np.zeros((2, 3))
    after = tf.nn.softmax(descend(before, [1, 1], [2.0, -2.0])).numpy()
    assert after[0, 1] > 1 / 3 + 0.05
    assert after[1, 1] < 1 / 3 - 0.05
    # The others share what is left, as they were equal.
    np.testing.assert_allclose(after[:, 0], after[:, 2], rtol=1e-6)


def test_descent_raises_entropy():
    before = np.array([[2.0, 0.0, -1.0]])
    after = descend(before, [0], [0.0], entropy_scale=1.0)
    layout = ActionLayout((DiscreteAction(3),))
    entropies = [
        ActionDistribution(layout, [(tf.constant(x, tf.float32),)], 0.01).entropy()[0]
        for x in (before, after)
    ]
    assert entropies[1] > entropies[0] + 0.01


def test_advantages_are_divided_by_the_scale():
    policy, action = normal_with(np.array([0.9, 0.9]), np.array([-0.2, -1.3]))
    losses = [
        actor_loss(
            policy,
            action,
            returns([advantage]),
            tf.constant(scale),
            entropy_scale=0.0,
            through_dynamics=False,
        )[0]
        for advantage, scale in (([3.0, -4.0], 2.0), ([1.5, -2.0], 1.0))
    ]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert losses[0] != 0


def actor_gradients(through_dynamics):
    """Gradients of the actor's loss by policy output, action, returns and values."""
    raw = tf.zeros([2, 2]), tf.zeros([2, 2])
    action, ret, val = tf.ones([2, 2]), tf.constant([[2.0, 3.0]]), tf.constant([[1.0, 1.0]])
    weights = tf.constant([[1.0, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch([*raw, action, ret, val, weights])
        loss, _ = actor_loss(
            ActionDistribution(synthetic.CONTINUOUS, [raw], 0.01),
            action,
            Returns(ret, val, weights),
            tf.constant(4.0),
            entropy_scale=1e-3,
            through_dynamics=through_dynamics,
        )
    return tape.gradient(loss, [*raw, action, ret, val])


def test_reinforce_differentiates_the_policy_only():
    mean, std, action, ret, val = actor_gradients(through_dynamics=False)
    assert np.all(mean != 0)
    assert np.all(std != 0)
    assert (action, ret, val) == (None, None, None)


def test_dynamics_differentiates_the_advantage_and_the_entropy():
    mean, std, action, ret, val = actor_gradients(through_dynamics=True)
    # -w (R - v) / S averaged over two: higher returns lower the loss, higher values raise it.
    np.testing.assert_allclose(ret, [[-1 / 8, -1 / 16]], rtol=1e-6)
    np.testing.assert_allclose(val, [[1 / 8, 1 / 16]], rtol=1e-6)
    assert action is None
    assert mean is None or not np.any(mean)  # The entropy does not depend on it.
    assert np.all(std < 0)  # Descent raises the deviation, and with it the entropy.


def test_mixed_actions_learn_in_all_their_parts():
    rng = np.random.default_rng(0)
    raw = [
        tuple(tf.constant(rng.normal(size=(3, k)), tf.float32) for k in sizes)
        for sizes in ([2, 2], [3], [2])
    ]
    action = tf.constant(synthetic.action_vectors(synthetic.MIXED, 3))
    with tf.GradientTape() as tape:
        tape.watch(raw)
        policy = ActionDistribution(synthetic.MIXED, raw, 0.01)
        before = policy.log_prob(action)
        loss, _ = actor_loss(
            policy,
            action,
            returns([[1.0, 2.0, -1.0]]),
            ONE,
            entropy_scale=3e-4,
            through_dynamics=False,
        )
    gradients = tape.gradient(loss, raw)
    assert all(np.any(g) for leaf in gradients for g in leaf)
    moved = [
        tuple(x - 0.05 * g for x, g in zip(leaf, leaf_gradients, strict=True))
        for leaf, leaf_gradients in zip(raw, gradients, strict=True)
    ]
    after = ActionDistribution(synthetic.MIXED, moved, 0.01).log_prob(action)
    np.testing.assert_array_equal(np.sign(after - before), [1, 1, -1])


# Critic


def test_initial_critic_loss_vector():
    expected = case("uniform_init_losses").expected
    outcome = returns([[3.0, -2.0], [0.0, 1e5]])
    losses = critic_loss(tf.zeros([4, 255]), outcome, tf.zeros([2, 2]), TWO_HOT)
    np.testing.assert_allclose(losses.value, expected["xent"], rtol=1e-6)
    np.testing.assert_allclose(
        losses.value + losses.slow, expected["critic_total_with_slowreg"], rtol=1e-6
    )


def test_critic_losses_are_weighted_means_of_cross_entropies():
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(size=(6, 255)), tf.float32)
    weights = np.array([[1, 1, 0], [0.9, 0.5, 0]])
    outcome = returns(rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), weights)
    slow_values = tf.constant(rng.normal(size=(2, 3)), tf.float32)
    losses = critic_loss(logits, outcome, slow_values, TWO_HOT)
    for loss, target in ((losses.value, outcome.returns), (losses.slow, slow_values)):
        each = TWO_HOT.loss(logits, tf.reshape(target, [-1])).numpy().reshape(2, 3)
        np.testing.assert_allclose(loss, (each * weights).mean(), rtol=1e-5)


def test_critic_gradient_points_to_returns_that_are_not_normalised():
    """It is softmax minus two-hot code of the return, over the number of states."""
    logits = tf.zeros([2, 255])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = critic_loss(logits, returns([[500.0, -7.0]]), tf.zeros([1, 2]), TWO_HOT).value
    code = 1 / 255 - 2 * tape.gradient(loss, logits).numpy()
    assert np.all(np.count_nonzero(code > 1e-4, axis=-1) == 2)
    space = np.sign([500, -7]) * np.log1p([500, 7])
    np.testing.assert_allclose(code @ TWO_HOT.bins, space, rtol=1e-4)


@pytest.mark.parametrize("part", [0, 1], ids=["value", "slow"])
def test_critic_targets_are_data(part):
    logits, slow, outcome = tf.zeros([4, 255]), tf.ones([2, 2]), returns([[1.0, 2], [3, 4]])
    with tf.GradientTape() as tape:
        tape.watch([logits, slow, *outcome])
        loss = critic_loss(logits, outcome, slow, TWO_HOT)[part]
    gradients = tape.gradient(loss, [logits, slow, outcome.returns, outcome.values])
    assert np.any(gradients[0])
    assert gradients[1:] == [None, None, None]


# Which parts the losses train, on real trajectories


def behaviour(actions, through_dynamics):
    """Names of the parts that gradient reaches, by loss. States are data to the critic's loss."""
    model, h, n = synthetic.model(synthetic.VECTOR, actions), 3, 5
    synthetic.scramble(model)
    start = synthetic.states(synthetic.NANO, n)
    if through_dynamics:
        start = start.with_dense_z(synthetic.NANO.classes)
    world = model.world_model
    with tf.GradientTape(persistent=True) as tape:
        trajectory = imagine(
            world.rssm,
            model.actor,
            actions,
            start,
            h,
            tf.constant([0, 0]),
            through_dynamics=through_dynamics,
        )
        states = trajectory.flat_state()
        acting_states = states.stop_gradient().first(h * n)
        outcome = imagined_returns(
            tf.reshape(TWO_HOT.mean(world.reward(states)), [h + 1, n]),
            tf.reshape(world.cont(states), [h + 1, n]),
            tf.reshape(TWO_HOT.mean(model.critic(states)), [h + 1, n]),
            tf.fill([n], False),
            gamma=0.99,
            gae_lambda=0.95,
        )
        actor, _ = actor_loss(
            model.actor(acting_states),
            tf.reshape(trajectory.action[:-1], [h * n, -1]),
            outcome,
            ONE,
            entropy_scale=3e-4,
            through_dynamics=through_dynamics,
        )
        slow_values = tf.reshape(TWO_HOT.mean(model.slow_critic(acting_states)), [h, n])
        losses = {
            "actor": actor,
            **critic_loss(model.critic(acting_states), outcome, slow_values, TWO_HOT)._asdict(),
        }
    parts = {
        "encoder": world.encoder,
        "rssm": world.rssm,
        "decoder": world.decoder,
        "reward": world.reward,
        "continue": world.cont,
        "actor": model.actor,
        "critic": model.critic,
        "slow_critic": model.slow_critic,
    }
    return {
        loss_name: {name for name, part in parts.items() if synthetic.reached(tape, loss, part)}
        for loss_name, loss in losses.items()
    }


@pytest.mark.parametrize(
    "actions", [synthetic.DISCRETE, synthetic.CONTINUOUS, synthetic.MIXED], ids=["d", "c", "m"]
)
def test_reinforce_reaches_the_actor_and_the_critic_is_alone(actions):
    assert behaviour(actions, through_dynamics=False) == {
        "actor": {"actor"},
        "value": {"critic"},
        "slow": {"critic"},
    }


def test_dynamics_reaches_the_actor_through_the_model_and_the_critic_is_alone():
    """What the chain rule reaches besides is for the optimizer to leave alone."""
    assert behaviour(synthetic.CONTINUOUS, through_dynamics=True) == {
        "actor": {"actor", "rssm", "reward", "critic"},
        "value": {"critic"},
        "slow": {"critic"},
    }
