import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.upsampled_convolution import (
    convolve_upsampled,
    merge_kernel,
    plain_convolve_upsampled,
)

pytestmark = pytest.mark.compiled


def value_and_gradients(function, x, kernel):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = tf.cast(function(x, kernel), tf.float32)
        loss = tf.reduce_sum(y * synthetic.uniform(*y.shape, seed=9))
    return [y, *tape.gradient(loss, [x, kernel])]


@pytest.mark.parametrize("shape", [(3, 4, 4, 6), (2, 1, 3, 2)])
def test_is_a_convolution_of_the_upsampled_image(shape):
    """At the borders too, in value and gradients."""
    x, kernel = synthetic.uniform(*shape), synthetic.uniform(5, 5, shape[3], 7, seed=1) - 0.5
    fast = value_and_gradients(lambda *args: convolve_upsampled(*args, "float32"), x, kernel)
    plain = value_and_gradients(plain_convolve_upsampled, x, kernel)
    for a, b in zip(fast, plain, strict=True):
        assert np.abs(b).max() > 0.1
        np.testing.assert_allclose(a, b, atol=2e-6 * np.abs(b).max())


def test_bfloat16_rounds_what_is_multiplied():
    x, kernel = synthetic.uniform(3, 4, 4, 6), synthetic.uniform(5, 5, 6, 7, seed=1) - 0.5
    y = convolve_upsampled(x, kernel, "bfloat16")
    assert y.dtype == tf.bfloat16
    expected = plain_convolve_upsampled(x, kernel)
    np.testing.assert_allclose(
        tf.cast(y, tf.float32), expected, atol=2**-6 * np.abs(expected).max()
    )


def test_every_element_is_used_once_for_each_pixel_of_a_block():
    merged = tf.reshape(merge_kernel(tf.ones([5, 5, 1, 1])), [3, 3, 2, 2])
    np.testing.assert_array_equal(tf.reduce_sum(merged, [0, 1]), np.full((2, 2), 25.0))
    np.testing.assert_array_equal(
        merged[:, :, 0, 0], [[4.0, 4.0, 2.0], [4.0, 4.0, 2.0], [2.0, 2.0, 1.0]]
    )
