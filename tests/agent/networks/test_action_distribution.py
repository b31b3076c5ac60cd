import math

import numpy as np
import pytest
import synthetic
import tensorflow as tf
import tensorflow_probability as tfp
from vectors import case

from rllib_dreamerv3.agent.networks.action_distribution import (
    ActionDistribution,
    action_noise,
    draw_action_noise,
)
from rllib_dreamerv3.spaces.layout import ActionLayout, ContinuousAction, DiscreteAction

SEED = tf.constant([3, 4])


def discrete(logits, mix=0.01):
    logits = tf.constant(logits, tf.float32)
    layout = ActionLayout((DiscreteAction(logits.shape[-1]),))
    return ActionDistribution(layout, [(logits,)], mix)


def continuous(mean_raw, std_raw):
    mean_raw, std_raw = tf.constant(mean_raw, tf.float32), tf.constant(std_raw, tf.float32)
    layout = ActionLayout((ContinuousAction(mean_raw.shape[-1]),))
    return ActionDistribution(layout, [(mean_raw, std_raw)], 0.01)


def mixed_parameters(n, seed=0):
    """Raw outputs for `synthetic.MIXED`."""
    rng = np.random.default_rng(seed)
    shapes = [[2, 2], [3], [2]]
    return [
        tuple(tf.constant(rng.normal(size=(n, k)), tf.float32) for k in sizes) for sizes in shapes
    ]


@pytest.mark.parametrize(("mix", "suffix"), [(0.01, ""), (0.0, "_nomix")])
def test_discrete_actor_vector(mix, suffix):
    inputs, expected, rtol, atol = case("discrete_actor")
    distribution = discrete([inputs["logits"]], mix)
    action = tf.one_hot([inputs["action"]], 3)
    np.testing.assert_allclose(
        distribution.log_prob(action), [expected["logp" + suffix]], rtol, atol
    )
    np.testing.assert_allclose(distribution.entropy(), [expected["entropy" + suffix]], rtol, atol)


def test_bounded_normal_vector():
    inputs, expected, rtol, atol = case("bounded_normal")
    distribution = continuous([inputs["mean_raw"]], [inputs["std_raw"]])
    np.testing.assert_allclose(
        distribution.log_prob(inputs["action"][None]), [expected["logp"]], rtol, atol
    )
    np.testing.assert_allclose(distribution.entropy(), [expected["entropy"]], rtol, atol)
    np.testing.assert_allclose(distribution.mode(), [expected["mean"]], rtol, atol)
    one_deviation = distribution.sample(tf.ones([1, 3])) - distribution.mode()
    np.testing.assert_allclose(one_deviation, [expected["std"]], rtol, 1e-6)


def test_equal_logits_have_the_entropy_of_a_die():
    np.testing.assert_allclose(discrete(np.zeros((2, 17))).entropy(), math.log(17), rtol=1e-6)


def test_parts_of_a_mixed_action_add():
    parameters, n = mixed_parameters(5), 5
    action = synthetic.action_vectors(synthetic.MIXED, n)
    together = ActionDistribution(synthetic.MIXED, parameters, 0.01)
    apart = [
        ActionDistribution(ActionLayout((leaf,)), [raw], 0.01)
        for leaf, raw in zip(synthetic.MIXED.leaves, parameters, strict=True)
    ]
    pieces = np.split(action, [2, 5], axis=-1)
    np.testing.assert_allclose(
        together.log_prob(tf.constant(action)),
        sum(d.log_prob(tf.constant(x)).numpy() for d, x in zip(apart, pieces, strict=True)),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        together.entropy(), sum(d.entropy().numpy() for d in apart), rtol=1e-5
    )


def test_log_prob_and_entropy_agree_with_tensorflow_probability():
    parameters = mixed_parameters(4)
    (mean, std), (first,), (second,) = parameters
    tfd = tfp.distributions
    references = [
        tfd.MultivariateNormalDiag(tf.tanh(mean), 0.9 * tf.sigmoid(std + 2.0) + 0.1),
        *(
            tfd.OneHotCategorical(probs=0.99 * tf.nn.softmax(x) + 0.01 / x.shape[-1])
            for x in (first, second)
        ),
    ]
    action = synthetic.action_vectors(synthetic.MIXED, 4)
    pieces = np.split(action, [2, 5], axis=-1)
    distribution = ActionDistribution(synthetic.MIXED, parameters, 0.01)
    np.testing.assert_allclose(
        distribution.log_prob(tf.constant(action)),
        sum(r.log_prob(x).numpy() for r, x in zip(references, pieces, strict=True)),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        distribution.entropy(), sum(r.entropy().numpy() for r in references), rtol=1e-5
    )


@pytest.mark.parametrize("drawn_by", ["tensorflow", "numpy"])
def test_noise_is_uniform_for_discrete_and_normal_for_continuous_leaves(drawn_by):
    leaves = ContinuousAction(1), ContinuousAction(1), DiscreteAction(3), DiscreteAction(3)
    layout = ActionLayout(leaves)
    if drawn_by == "tensorflow":
        noise = action_noise(layout, [3, 5000], SEED).numpy()
    else:
        flat = draw_action_noise(layout, 15000, np.random.default_rng(0))
        noise = flat.reshape(3, 5000, 4)
    assert (noise.shape, noise.dtype) == ((3, 5000, 4), np.float32)
    normal, dice = noise[..., :2], noise[..., 2:]
    assert dice.min() >= 0
    assert dice.max() < 1
    np.testing.assert_allclose(dice.mean((0, 1)), 0.5, atol=0.02)
    np.testing.assert_allclose(normal.mean((0, 1)), 0.0, atol=0.04)
    np.testing.assert_allclose(normal.std((0, 1)), 1.0, atol=0.04)
    correlations = np.corrcoef(noise.reshape(-1, 4), rowvar=False) - np.eye(4)
    assert np.abs(correlations).max() < 0.04


def test_noise_depends_on_the_seed_alone():
    first, again = (action_noise(synthetic.MIXED, [6], SEED) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == action_noise(synthetic.MIXED, [6], SEED + 7))


def test_discrete_samples_are_one_hot_and_as_frequent_as_probable():
    logits, n = np.array([1.0, -1.0, 0.2]), 20000
    distribution = discrete(np.tile(logits, (n, 1)))
    sample = distribution.sample(action_noise(ActionLayout((DiscreteAction(3),)), [n], SEED))
    assert set(np.unique(sample)) == {0.0, 1.0}
    np.testing.assert_array_equal(tf.reduce_sum(sample, -1), 1.0)
    probs = 0.99 * np.exp(logits) / np.exp(logits).sum() + 0.01 / 3
    np.testing.assert_allclose(tf.reduce_mean(sample, 0), probs, atol=0.015)


def test_continuous_samples_are_mean_plus_noise_and_may_leave_the_bounds():
    distribution = continuous([[0.3, 0.0]], [[-3.0, 1.0]])
    sample = distribution.sample(tf.constant([[1.0, 2.0]])).numpy()
    expected = np.tanh([[0.3, 0.0]]) + np.array([[1.0, 2.0]]) * (
        0.9 / (1 + np.exp([[1.0, -3.0]])) + 0.1
    )
    np.testing.assert_allclose(sample, expected, rtol=1e-5)
    assert sample[0, 1] > 1


def test_mode_is_the_likeliest_action():
    distribution = ActionDistribution(synthetic.MIXED, mixed_parameters(50), 0.01)
    mode = distribution.mode()
    assert mode.shape == (50, synthetic.MIXED.size)
    for seed in range(20):
        sample = distribution.sample(action_noise(synthetic.MIXED, [50], tf.constant([0, seed])))
        assert np.all(distribution.log_prob(sample) <= distribution.log_prob(mode))


def test_gradient_of_samples():
    parameters = mixed_parameters(4)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(parameters)
        sample = ActionDistribution(synthetic.MIXED, parameters, 0.01).sample(
            action_noise(synthetic.MIXED, [4], SEED)
        )
    (mean, std), *logits = parameters
    np.testing.assert_allclose(
        tape.gradient(sample, mean), 1 - np.tanh(mean) ** 2, rtol=1e-4, atol=1e-6
    )
    assert np.all(tape.gradient(sample, std).numpy() != 0)
    assert [tape.gradient(sample, raw[0]) for raw in logits] == [None, None]


def test_bias_is_the_mean_that_is_farthest_from_0():
    # Means of the two components: 0 and tanh(-1) / 2.
    distribution = continuous([[2.0, -1.0], [-2.0, 0.0]], np.zeros((2, 2)))
    np.testing.assert_allclose(distribution.bias(), np.tanh(1) / 2, rtol=1e-6)
    parameters = mixed_parameters(50)
    means = [np.tanh(raw[0]) for raw in parameters if len(raw) == 2]
    biases = [np.abs(mean.mean(0)).max() for mean in means]
    mixed = ActionDistribution(synthetic.MIXED, parameters, 0.01)
    np.testing.assert_allclose(mixed.bias(), max(biases), rtol=1e-5)
    assert discrete(np.zeros((2, 3))).bias() is None
