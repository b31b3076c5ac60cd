"""The fast forms against the plain formulas."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from graphs import ancestors

from rllib_dreamerv3.agent.kernels.norm_silu import norm_silu
from rllib_dreamerv3.agent.kernels.strided_convolution import (
    PATCHES_UP_TO_SIDE,
    activate_and_convolve_down,
    convolve_down,
    convolve_up,
    convolve_up_to_pixels,
    kernel_gradient,
    plain_convolve_down,
    plain_convolve_up,
)

pytestmark = pytest.mark.compiled

# What one rounding to bfloat16 may change, relative to the largest result.
TOLERANCE = {"float32": 1e-6, "bfloat16": 2**-8}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))
# On both sides of where kernel gradients are computed in another way.
SIDES = pytest.mark.parametrize("side", [PATCHES_UP_TO_SIDE, 2 * PATCHES_UP_TO_SIDE])


def value_and_gradients(function, *inputs):
    factor = None
    inputs = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = tf.cast(function(*inputs), tf.float32)
        factor = synthetic.uniform(*y.shape, seed=9)
        loss = tf.reduce_sum(y * factor)
    return [y, *tape.gradient(loss, inputs)]


def assert_as_plain(fast, plain, dtype, *inputs):
    """Equal values and gradients; the plain formula computes in float32 from rounded inputs.

    On processors without instructions for bfloat16 TensorFlow adds up kernel gradients in it, and
    loses several hundredths. There the fast form may lose as much as TensorFlow's own does.
    """
    rounded = [tf.cast(tf.cast(x, dtype), tf.float32) for x in inputs]
    results = value_and_gradients(fast, *inputs), value_and_gradients(plain, *rounded)
    tensorflows = value_and_gradients(lambda *x: plain(*(tf.cast(y, dtype) for y in x)), *inputs)
    for a, b, own in zip(*results, tensorflows, strict=True):
        assert a.dtype == tf.float32
        largest = np.abs(b).max()
        assert largest > 0.1
        lost = np.abs(own - b).max() if dtype == "bfloat16" else 0.0
        limit = max(2 * TOLERANCE[dtype] * largest, 1.1 * lost)
        np.testing.assert_allclose(a, b, rtol=0, atol=limit)


@DTYPES
@SIDES
def test_down(side, dtype):
    assert_as_plain(
        lambda x, kernel: convolve_down(x, kernel, dtype),
        plain_convolve_down,
        dtype,
        synthetic.uniform(3, 2 * side, 2 * side, 6),
        synthetic.uniform(4, 4, 6, 5, seed=1),
    )


@pytest.mark.parametrize("style", ["layer", "rms"])
@DTYPES
def test_down_after_an_activation(style, dtype):
    """Equal to one after the other, also where the backward pass recomputes the activations."""
    names = ("scale", "offset") if style == "layer" else ("scale", "bias")

    def together(x, kernel, *parameters):
        activation = dict(zip(names, parameters, strict=True))
        return activate_and_convolve_down(x, activation, kernel, dtype)

    def in_turn(x, kernel, *parameters):
        activation = dict(zip(names, parameters, strict=True))
        return convolve_down(norm_silu(x, **activation, dtype=dtype), kernel, dtype)

    inputs = [
        synthetic.uniform(3, 8, 8, 6),
        synthetic.uniform(4, 4, 6, 5, seed=1),
        synthetic.uniform(6, seed=2),
        synthetic.uniform(6, seed=3),
    ]
    expected = value_and_gradients(in_turn, *inputs)
    for run in (together, tf.function(together, autograph=False)):
        for a, b in zip(value_and_gradients(run, *inputs), expected, strict=True):
            assert np.abs(b).max() > 0.01
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_activations_are_not_kept():
    """The backward pass computes them from x again, once the gradient of the result is known."""

    @tf.function(autograph=False)
    def run(x, kernel, scale, upstream):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel, scale])
            y = activate_and_convolve_down(x, {"scale": scale}, kernel, "float32")
            y *= upstream
        return tape.gradient(y, [x, kernel, scale])

    inputs = [tf.ones(shape) for shape in ([1, 8, 8, 2], [4, 4, 2, 3], [2], [1, 4, 4, 3])]
    graph = run.get_concrete_function(*inputs).graph
    (by_kernel,) = (op for op in graph.get_operations() if op.type == "Conv2DBackpropFilter")
    (by_x,) = (op for op in graph.get_operations() if op.type == "Conv2DBackpropInput")
    upstream = by_kernel.inputs[2].op
    assert upstream is by_x.inputs[2].op
    identity = next(op for op in ancestors(by_kernel.inputs[0].op) if op.control_inputs)
    assert upstream in identity.control_inputs


@DTYPES
@SIDES
def test_up(side, dtype):
    assert_as_plain(
        lambda x, kernel: convolve_up(x, kernel, dtype),
        plain_convolve_up,
        dtype,
        synthetic.uniform(3, side, side, 6),
        synthetic.uniform(4, 4, 5, 6, seed=1),
    )


@DTYPES
@pytest.mark.parametrize("channels", [1, 3])
def test_up_to_pixels(channels, dtype):
    side = 4
    bias = synthetic.uniform(channels, seed=2)
    assert_as_plain(
        lambda x, kernel: convolve_up_to_pixels(x, kernel, bias, dtype),
        lambda x, kernel: plain_convolve_up(x, kernel) + tf.cast(bias, x.dtype),
        dtype,
        synthetic.uniform(3, side, side, 6),
        synthetic.uniform(4, 4, channels, 6, seed=1),
    )


def test_gradient_of_the_pixels_bias():
    x, kernel = synthetic.uniform(3, 4, 4, 6), synthetic.uniform(4, 4, 2, 6, seed=1)
    _, by_bias = value_and_gradients(
        lambda bias: convolve_up_to_pixels(x, kernel, bias, "float32"), tf.constant([0.5, -1.0])
    )
    np.testing.assert_allclose(
        by_bias, tf.reduce_sum(synthetic.uniform(3, 8, 8, 2, seed=9), [0, 1, 2]), rtol=1e-5
    )


@SIDES
def test_kernel_gradient_does_not_depend_on_how_it_is_computed(side):
    large = tf.cast(synthetic.uniform(3, 2 * side, 2 * side, 6), tf.bfloat16)
    small = tf.cast(synthetic.uniform(3, side, side, 5, seed=1), tf.bfloat16)
    expected = kernel_gradient(tf.cast(large, tf.float32), tf.cast(small, tf.float32))
    found = kernel_gradient(large, small)
    assert found.dtype == tf.bfloat16
    assert found.shape == (4, 4, 6, 5)
    own = tf.raw_ops.Conv2DBackpropFilter(
        input=large,
        filter_sizes=[4, 4, 6, 5],
        out_backprop=small,
        strides=[1, 2, 2, 1],
        padding="SAME",
    )
    # See assert_as_plain.
    lost = np.abs(tf.cast(own, tf.float32) - expected).max()
    limit = max(2**-8 * np.abs(expected).max(), 1.1 * lost)
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, rtol=0, atol=limit)
