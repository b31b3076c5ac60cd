import numpy as np
import pytest
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.even_bias import add_even_bias


def mirrored(rows, seed=0):
    """Random numbers ``[rows, 255]`` of which opposite columns are equal."""
    half = np.random.default_rng(seed).normal(size=(rows, 127)).astype(np.float32)
    return np.concatenate([half, np.zeros([rows, 1], np.float32), half[:, ::-1]], 1)


@pytest.mark.parametrize("rows", [1, 12, 100, 1024])
def test_equal_columns_have_equal_gradients(rows):
    upstream = mirrored(rows)
    y, bias = tf.zeros([rows, 255]), tf.Variable(tf.range(255.0))

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(y)
            total = tf.reduce_sum(upstream * add_even_bias(y, tf.convert_to_tensor(bias)))
        return tape.gradient(total, [y, bias])

    by_y, by_bias = gradients()
    np.testing.assert_array_equal(by_y, upstream)
    np.testing.assert_array_equal(by_bias, by_bias[::-1])
    np.testing.assert_allclose(by_bias, upstream.sum(0, np.float64), rtol=1e-4, atol=1e-4)


def test_adds():
    y = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(add_even_bias(y, tf.constant([10.0, 20.0])), [[11, 22], [13, 24]])
