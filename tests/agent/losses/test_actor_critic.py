import math

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.losses.actor_critic import (
    Returns,
    actor_loss,
    critic_loss,
    imagined_continues,
    imagined_returns,
    replay_critic_loss,
)
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.action_distribution import ActionDistribution
from rllib_dreamerv3.spaces.layout import ActionLayout, ContinuousAction, DiscreteAction

TWO_HOT, SYMEXP = make_two_hot("symlog"), make_two_hot("symexp")
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


def goes_on(logits, kind="mode", terminal=False):
    """Continues of one or more trajectories that start from records of one kind."""
    return imagined_continues(logits, tf.fill([logits.shape[1]], terminal), kind)


def logits_of(probability):
    """The inverse of the sigmoid, ``[H + 1] -> [H + 1, 1]``."""
    probability = np.asarray(probability, np.float64)[:, None]
    return tf.constant(np.log(probability / (1 - probability)), tf.float32)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_imagined_returns_vector(variant):
    inputs, expected, rtol, atol = case(f"lambda_return_imag_{variant}")
    column = {name: tf.constant(inputs[name][:, None], tf.float32) for name in ("rew", "val")}
    if variant == "v1":
        # Logits beyond 0 mean that the episode goes on; the first one comes from the record.
        logits = logits_of(np.where(inputs["cont"], 0.6, 0.4))
        continues, gamma = goes_on(tf.concat([[[-5.0]], logits[1:]], 0)), inputs["gamma"]
    else:
        # The record is not asked.
        continues = goes_on(logits_of(inputs["cont"]), "probability", terminal=True)
        gamma = inputs["disc"]
    outcome = imagined_returns(
        column["rew"],
        continues,
        column["val"],
        gamma=float(gamma),
        gae_lambda=float(inputs["lam"]),
    )
    np.testing.assert_allclose(outcome.returns[:, 0], expected["ret"], rtol, atol)
    np.testing.assert_array_equal(outcome.values, column["val"][:-1])
    np.testing.assert_allclose(outcome.weights[:, 0], expected["weight"][:-1], rtol, atol)


def test_where_an_imagined_episode_goes_on():
    logits, terminal = tf.constant([[3.0, 3.0], [0.1, -0.1], [-2.0, 2.0]]), [True, False]
    hard = imagined_continues(logits, tf.constant(terminal), "mode")
    np.testing.assert_array_equal(hard, [[0, 1], [1, 0], [0, 1]])
    soft = imagined_continues(logits, tf.constant(terminal), "probability")
    np.testing.assert_allclose(soft, 1 / (1 + np.exp(-logits.numpy())), rtol=1e-6)


def test_trajectories_from_terminal_records_weigh_nothing():
    ones = tf.ones([4, 2])
    continues = imagined_continues(ones, tf.constant([True, False]), "mode")
    outcome = imagined_returns(ones, continues, ones, gamma=0.5, gae_lambda=1.0)
    np.testing.assert_array_equal(outcome.weights, [[0, 1.0], [0, 0.5], [0, 0.25]])
    # 1 + (1 + (1 + 1 / 2) / 2) / 2 and so on, whatever the weight.
    np.testing.assert_allclose(outcome.returns[:, 1], [1.875, 1.75, 1.5])


@pytest.mark.parametrize("kind", ["mode", "probability"])
def test_gradient_of_returns_reaches_rewards_and_values_but_not_continues(kind):
    reward, logits, values = tf.ones([4, 2]), tf.ones([4, 2]), tf.ones([4, 2])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([reward, logits, values])
        outcome = imagined_returns(reward, goes_on(logits, kind), values, gamma=0.5, gae_lambda=0.5)
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
    np.testing.assert_allclose(metrics["action_entropy"], entropy.mean(), rtol)
    advantage = (inputs["ret"] - inputs["val"]) / inputs["S"]
    terms = [metrics["L_neglogp_reinforce_term"], metrics["L_neg_entropy_term"]]
    expected_terms = [-(log_prob * advantage).mean(), -inputs["eta"] * entropy.mean()]
    np.testing.assert_allclose(terms, expected_terms, rtol, atol)
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


@pytest.mark.parametrize("two_hot", [TWO_HOT, SYMEXP], ids=["symlog", "symexp"])
def test_initial_critic_loss_vector(two_hot):
    expected = case("uniform_init_losses").expected
    outcome = returns([[3.0, -2.0], [0.0, 1e5]])
    losses = critic_loss(tf.zeros([4, 255]), outcome, tf.zeros([2, 2]), two_hot)
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


# Critic on replay


def replay_inputs(end):
    """The row of a test vector as `replay_critic_loss` takes it, and what is expected of it."""
    inputs, expected, *_ = case(f"lambda_return_replay_{end}")
    row = {
        "bootstrap": tf.constant(inputs["boot"][None], tf.float32),
        "reward": tf.constant(inputs["rew"][None], tf.float32),
        "is_last": tf.constant(inputs["is_last"][None].astype(bool)),
        "is_terminal": tf.constant(inputs["is_terminal"][None].astype(bool)),
    }
    options = {"gamma": float(inputs["disc"]), "gae_lambda": float(inputs["lam"])}
    return row, options, expected


@pytest.mark.parametrize("slow_scale", [0.0, 0.7])
@pytest.mark.parametrize("end", ["terminal", "truncation"])
def test_replay_critic_vector(end, slow_scale):
    row, options, expected = replay_inputs(end)
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(size=(1, 6, 255)), tf.float32)
    slow_values = tf.constant(rng.normal(size=(1, 6)), tf.float32)
    loss = replay_critic_loss(
        logits, slow_values, **row, two_hot=SYMEXP, **options, slow_critic_scale=slow_scale
    )
    value, slow = (
        SYMEXP.loss(logits[0, :-1], tf.constant(target, tf.float32)).numpy()
        for target in (expected["ret"], slow_values[0, :-1])
    )
    # The mean is over all five, also over those of weight 0.
    by_hand = (expected["weight"] * (value + slow_scale * slow)).mean()
    np.testing.assert_allclose(loss, by_hand, rtol=1e-5)


@pytest.mark.parametrize("end", ["terminal", "truncation"])
def test_replay_critic_ignores_what_follows_the_end_of_an_episode(end):
    """Rewards, bootstraps and ends behind ``is_last`` change nothing of what is before it."""

    def gradient(changes):
        row, options, _ = replay_inputs(end)
        logits = tf.zeros([1, 6, 255])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = replay_critic_loss(
                logits,
                tf.ones([1, 6]),
                **(row | changes(row)),
                two_hot=SYMEXP,
                **options,
                slow_critic_scale=1.0,
            )
        # Softmax less the code of the target, for every record.
        return tape.gradient(loss, logits)[0].numpy()

    later = tf.constant([[0, 0, 0, 0, 1, 1]], tf.float32)
    plain = gradient(lambda row: {})
    np.testing.assert_array_equal(plain[[3, 5]], 0)
    assert np.all(np.abs(plain[[0, 1, 2, 4]]).max(-1) > 1e-3)
    for changes in (
        lambda row: {"reward": row["reward"] + 50.0 * later},
        lambda row: {"bootstrap": row["bootstrap"] - 30.0 * later},
        lambda row: {name: row[name] | (later > 0) for name in ("is_last", "is_terminal")},
    ):
        changed = gradient(changes)
        np.testing.assert_array_equal(changed[:4], plain[:4])
        assert np.abs(changed[4] - plain[4]).max() > 1e-3
    # The reward that came with the last record counts.
    at_end = tf.constant([[0, 0, 0, 1, 0, 0]], tf.float32)
    assert np.any(gradient(lambda row: {"reward": row["reward"] + at_end})[2] != plain[2])


def test_replay_critic_targets_are_data():
    row, options, _ = replay_inputs("truncation")
    logits, slow_values = tf.zeros([1, 6, 255]), tf.ones([1, 6])
    inputs = [slow_values, row["bootstrap"], row["reward"]]
    with tf.GradientTape() as tape:
        tape.watch([logits, *inputs])
        loss = replay_critic_loss(
            logits, slow_values, **row, two_hot=SYMEXP, **options, slow_critic_scale=1.0
        )
    by_logits, *others = tape.gradient(loss, [logits, *inputs])
    assert np.any(by_logits)
    assert others == [None] * 3
