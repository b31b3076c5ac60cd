import numpy as np
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.math.scalars import symexp, symlog


def test_symlog_vector():
    inputs, expected, rtol, atol = case("symlog")
    np.testing.assert_allclose(symlog(inputs["x"]), expected["y"], rtol, atol)


def test_symexp_vector():
    inputs, expected, rtol, atol = case("symexp")
    np.testing.assert_allclose(symexp(inputs["y"]), expected["x"], rtol, atol)


def test_symexp_inverts_symlog_over_all_magnitudes():
    magnitude = np.logspace(-30, 8, 400, dtype=np.float32)
    x = np.concatenate([-magnitude, [0], magnitude]).astype(np.float32)
    np.testing.assert_allclose(symexp(symlog(x)), x, rtol=5e-6)


def test_symlog_is_odd_to_the_last_bit():
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32) * 100
    np.testing.assert_array_equal(symlog(-x), -symlog(x))


def test_gradients():
    x = tf.constant([-30.0, -0.5, 0.25, 7.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        logs, exps = symlog(x), symexp(x)
    np.testing.assert_allclose(tape.gradient(logs, x), 1 / (1 + np.abs(x)), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(exps, x), np.exp(np.abs(x)), rtol=1e-6)
