import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from vectors import case

from rllib_dreamerv3.agent.math import bounded_normal

tfd = tfp.distributions


def random_parameters():
    rng = np.random.default_rng(0)
    return bounded_normal.parameters(*(rng.normal(size=(2, 5, 3)) * 3).astype(np.float32))


def test_vector():
    inputs, expected, rtol, atol = case("bounded_normal")
    mean, std = bounded_normal.parameters(inputs["mean_raw"], inputs["std_raw"])
    np.testing.assert_allclose(mean, expected["mean"], rtol, atol)
    np.testing.assert_allclose(std, expected["std"], rtol, atol)
    action = inputs["action"]
    each = bounded_normal.log_prob(mean[:, None], std[:, None], action[:, None])
    np.testing.assert_allclose(each, expected["logp_each"], rtol, atol)
    np.testing.assert_allclose(
        bounded_normal.log_prob(mean, std, action), expected["logp"], rtol, atol
    )
    np.testing.assert_allclose(bounded_normal.entropy(std), expected["entropy"], rtol, atol)
    for bound, name in ((0.1, "entropy_min"), (1.0, "entropy_max")):
        np.testing.assert_allclose(
            bounded_normal.entropy(tf.fill([3], bound)), expected[name], rtol
        )


def test_log_prob_and_entropy_agree_with_tfp():
    mean, std = random_parameters()
    twin = tfd.Independent(tfd.Normal(mean, std), 1)
    action = np.random.default_rng(1).normal(size=mean.shape).astype(np.float32)
    own = bounded_normal.log_prob(mean, std, action)
    assert own.shape == (5,)
    np.testing.assert_allclose(own, twin.log_prob(action), rtol=1e-5)
    np.testing.assert_allclose(bounded_normal.entropy(std), twin.entropy(), rtol=1e-5)


def test_parameters_respect_their_bounds():
    extreme = np.array([-1e4, 1e4], np.float32)
    mean, std = bounded_normal.parameters(extreme, extreme, 0.2, 0.7)
    np.testing.assert_allclose(mean, [-1, 1])
    np.testing.assert_allclose(std, [0.2, 0.7], rtol=1e-6)


def test_sample_is_differentiable_by_mean_and_deviation():
    mean, std = random_parameters()
    noise = np.random.default_rng(2).normal(size=mean.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch([mean, std])
        action = bounded_normal.sample(mean, std, noise)
    np.testing.assert_allclose(action, mean + std * noise)
    by_mean, by_std = tape.gradient(action, [mean, std])
    np.testing.assert_array_equal(by_mean, np.ones_like(noise))
    np.testing.assert_array_equal(by_std, noise)
