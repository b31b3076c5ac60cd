"""The 4x4 convolution of stride 2 and its transpose, with padding SAME, fast on CPUs.

The plain formulas are `plain_convolve_down` and `plain_convolve_up`, with TensorFlow's gradients.
They are replaced where TensorFlow's kernels (oneDNN) are slow: after space-to-depth of 2x2 pixels,
which gives four times the channels, both are 2x2 convolutions of stride 1. That is how kernel
gradients of small bfloat16 images and images of few channels are computed.

n images, h x w pixels of the smaller image.
"""

from collections.abc import Mapping

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import compiled, only_plain_operations
from rllib_dreamerv3.agent.kernels.norm_silu import norm_silu
from rllib_dreamerv3.options.table import ComputeDtype

# Up to this many pixels a side (of the smaller image), a kernel gradient in bfloat16 is faster as
# matrix products with patches: half the time of oneDNN's kernel at every size, a third at the
# largest.
PATCHES_UP_TO_SIDE = 4


def plain_convolve_down(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """``[n, 2h, 2w, in] x [4, 4, in, out] -> [n, h, w, out]``."""
    return tf.nn.conv2d(x, kernel, 2, "SAME")


def plain_convolve_up(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Transposed: ``[n, h, w, in] x [4, 4, out, in] -> [n, 2h, 2w, out]``."""
    shape = [tf.shape(x)[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
    return tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME")


def convolve_down(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """``[n, 2h, 2w, in] x [4, 4, in, out] -> [n, h, w, out]``, computed in ``dtype``."""
    convolve = plain_convolve_down if only_plain_operations() else _down
    return convolve(tf.cast(x, dtype), tf.cast(kernel, dtype))


def activate_and_convolve_down(
    x: tf.Tensor, activation: Mapping[str, tf.Tensor], kernel: tf.Tensor, dtype: ComputeDtype
) -> tf.Tensor:
    """``convolve_down(norm_silu(x))`` in less memory: the activations are recomputed.

    In float32 only x is kept for the backward pass, which computes the activations again. That
    costs 1 to 2 % of an update's time; kept activations would be a fifth of what an update
    allocates. In bfloat16 they would be half as much and cost as large a share of the time: they
    are kept.

    Args:
        x: ``[n, 2h, 2w, in]``.
        activation: Parameters of :func:`norm_silu`.
        kernel: ``[4, 4, in, out]``.
        dtype: Of the result.

    Returns:
        ``[n, h, w, out]``.
    """
    if dtype != "float32" or only_plain_operations():
        return convolve_down(norm_silu(x, **activation, dtype=dtype), kernel, dtype)

    @tf.custom_gradient
    def run(x: tf.Tensor, kernel: tf.Tensor, *parameters: tf.Tensor):
        def activate(x: tf.Tensor) -> tf.Tensor:
            return norm_silu(x, **dict(zip(activation, parameters, strict=True)))

        def gradient(upstream: tf.Tensor):
            # Without this TensorFlow would recompute as soon as x is known: in the forward pass,
            # with the result kept until now.
            with tf.control_dependencies([upstream]):
                inputs = [tf.identity(x), *parameters]
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                y = activate(inputs[0])
            by_kernel = kernel_gradient(y, upstream)
            # The norm's gradient needs the most memory: y is freed before it is computed.
            with tf.control_dependencies([by_kernel]):
                by_y = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(y), 2, "SAME")
            by_x, *by_parameters = tape.gradient(y, inputs, by_y)
            return by_x, by_kernel, *by_parameters

        return plain_convolve_down(activate(x), kernel), gradient

    return run(x, tf.convert_to_tensor(kernel), *activation.values())


def convolve_up(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """Transposed: ``[n, h, w, in] x [4, 4, out, in] -> [n, 2h, 2w, out]``, in ``dtype``."""
    convolve = plain_convolve_up if only_plain_operations() else _up
    return convolve(tf.cast(x, dtype), tf.cast(kernel, dtype))


def convolve_up_to_pixels(
    x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, dtype: ComputeDtype
) -> tf.Tensor:
    """`convolve_up` for few output channels, with a bias ``[out]``; the result is float32.

    oneDNN takes three times as long to write three channels as to write twelve of a quarter as
    many pixels, so the transposed convolution writes those, and depth-to-space follows.
    """
    if only_plain_operations():
        return tf.cast(convolve_up(x, kernel, dtype), tf.float32) + bias
    n, height, width = tf.shape(x)[0], x.shape[1], x.shape[2]
    outputs, inputs = kernel.shape[2:]
    by_block = tf.reshape(tf.cast(kernel, dtype), [2, 2, 2, 2, outputs, inputs])
    by_block = tf.reshape(tf.transpose(by_block, [0, 2, 1, 3, 4, 5]), [2, 2, 4 * outputs, inputs])
    shape = [n, height + 1, width + 1, 4 * outputs]
    blocks = tf.nn.conv2d_transpose(tf.cast(x, dtype), by_block, shape, 1, "VALID")
    return _pixels_plus_bias(tf.ensure_shape(blocks, [x.shape[0], *shape[1:]]), bias)


@tf.custom_gradient
def _down(x: tf.Tensor, kernel: tf.Tensor):
    def gradient(upstream: tf.Tensor):
        by_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 2, "SAME")
        return by_x, kernel_gradient(x, upstream)

    return plain_convolve_down(x, kernel), gradient


@tf.custom_gradient
def _up(x: tf.Tensor, kernel: tf.Tensor):
    def gradient(upstream: tf.Tensor):
        return plain_convolve_down(upstream, kernel), kernel_gradient(upstream, x)

    return plain_convolve_up(x, kernel), gradient


def kernel_gradient(large: tf.Tensor, small: tf.Tensor) -> tf.Tensor:
    """Kernel gradient of a 4x4 convolution of stride 2, or of its transpose.

    Args:
        large: ``[n, 2h, 2w, c]``: the input of a convolution, or the gradient of the output of a
            transposed one.
        small: ``[n, h, w, d]``: the gradient of the output, or the input.

    Returns:
        ``[4, 4, c, d]``, in the dtype of both.
    """
    side, c, d = small.shape[1], large.shape[3], small.shape[3]
    if small.dtype != tf.bfloat16 or side > PATCHES_UP_TO_SIDE:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=large,
            filter_sizes=[4, 4, c, d],
            out_backprop=small,
            strides=[1, 2, 2, 1],
            padding="SAME",
        )
    # Without this TensorFlow would cut up the convolution's input as soon as it is known, in the
    # forward pass, and keep the patches until now.
    with tf.control_dependencies([large, small]):
        padded = _pad(large)
    blocks = tf.nn.space_to_depth(padded, 2)
    patches = [blocks[:, i : i + side, j : j + side] for i in range(2) for j in range(2)]
    rows = tf.reshape(small, [-1, d])
    products = [tf.matmul(tf.reshape(x, [-1, 4 * c]), rows, transpose_a=True) for x in patches]
    by_block = tf.reshape(tf.stack(products), [2, 2, 2, 2, c, d])
    return tf.reshape(tf.transpose(by_block, [0, 2, 1, 3, 4, 5]), [4, 4, c, d])


def _crop_and_add_bias(blocks: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """``[n, h + 1, w + 1, 4 out] -> [n, 2h, 2w, out]``: without the border, which is padding."""
    return tf.cast(tf.nn.depth_to_space(blocks, 2)[:, 1:-1, 1:-1], tf.float32) + bias


def _crop_and_add_bias_gradient(
    blocks: tf.Tensor, bias: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    del bias
    by_blocks = tf.nn.space_to_depth(_pad(tf.cast(upstream, blocks.dtype)), 2)
    # XLA does not vectorise sums over the few channels of a pixel. A product with ones adds up
    # whole rows of pixels first.
    channels = upstream.shape[3]
    rows = tf.reshape(upstream, [-1, upstream.shape[2] * channels])
    by_column = tf.matmul(tf.ones([1, rows.shape[0]]), rows)
    return by_blocks, tf.reduce_sum(tf.reshape(by_column, [-1, channels]), 0)


_pixels_plus_bias = compiled(_crop_and_add_bias, _crop_and_add_bias_gradient)


def _pad(x: tf.Tensor) -> tf.Tensor:
    """One pixel of zeros around each image: the padding SAME of a 4x4 window of stride 2."""
    return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
