"""The 4x4 convolution of stride 2 and its transpose, with padding SAME, as CPUs do them fast.

Both read or write pixels in cells of 2x2. Seen as cells of four times as many channels, they are
2x2 convolutions of stride 1. TensorFlow's own kernels (oneDNN) are used where they are faster,
which is almost everywhere. n images, h x w pixels of the smaller image.
"""

from collections.abc import Mapping

import tensorflow as tf

from rllib_dreamerv3.kernels.compiled import compiled
from rllib_dreamerv3.kernels.norm_silu import norm_silu
from rllib_dreamerv3.kernels.pixel_blocks import cells_to_pixels, pixels_to_cells
from rllib_dreamerv3.options.model_sizes import ComputeDtype

# Up to so many pixels a side (of the smaller image) a kernel's gradient in bfloat16 is faster as
# a product with patches: half the time of oneDNN's kernel at every size, a third at the largest.
PATCHES_UP_TO_SIDE = 4


def convolve_down(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """``[n, 2h, 2w, in] x [4, 4, in, out] -> [n, h, w, out]``, computed in ``dtype``."""
    return _down(tf.cast(x, dtype), tf.cast(kernel, dtype))


def activate_and_convolve_down(
    x: tf.Tensor, activation: Mapping[str, tf.Tensor], kernel: tf.Tensor, dtype: ComputeDtype
) -> tf.Tensor:
    """``convolve_down(norm_silu(x))``, in less memory.

    In float32 only x is kept, and activated once more on the way back. That takes one or two
    hundredths of an update's time; all that would be kept is a fifth of what an update allocates.
    In bfloat16 it would be half as much, for as large a share of the time.

    Args:
        x: ``[n, 2h, 2w, in]``.
        activation: Parameters of :func:`norm_silu`.
        kernel: ``[4, 4, in, out]``.
        dtype: Of the result.

    Returns:
        ``[n, h, w, out]``.
    """
    if dtype != "float32":
        return convolve_down(norm_silu(x, **activation, dtype=dtype), kernel, dtype)

    @tf.custom_gradient
    def run(x: tf.Tensor, kernel: tf.Tensor, *parameters: tf.Tensor):
        def activate(x: tf.Tensor) -> tf.Tensor:
            return norm_silu(x, **dict(zip(activation, parameters, strict=True)))

        def gradient(upstream: tf.Tensor):
            # Else it would be done on the way forward, and kept.
            with tf.control_dependencies([upstream]):
                inputs = [tf.identity(x), *parameters]
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                y = activate(inputs[0])
            by_kernel = kernel_gradient(y, upstream)
            # Nothing needs as much memory as the norm's gradient: y is let go before.
            with tf.control_dependencies([by_kernel]):
                by_y = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(y), 2, "SAME")
            by_x, *by_parameters = tape.gradient(y, inputs, by_y)
            return by_x, by_kernel, *by_parameters

        return tf.nn.conv2d(activate(x), kernel, 2, "SAME"), gradient

    return run(x, tf.convert_to_tensor(kernel), *activation.values())


def convolve_up(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """Transposed: ``[n, h, w, in] x [4, 4, out, in] -> [n, 2h, 2w, out]``, in ``dtype``."""
    return _up(tf.cast(x, dtype), tf.cast(kernel, dtype))


def convolve_up_to_pixels(
    x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, dtype: ComputeDtype
) -> tf.Tensor:
    """The same for few output channels, with a bias ``[out]``; the result is float32.

    oneDNN takes three times as long to write three channels as to write cells of twelve.
    """
    n, height, width = tf.shape(x)[0], x.shape[1], x.shape[2]
    outputs, inputs = kernel.shape[2:]
    by_cell = tf.reshape(tf.cast(kernel, dtype), [2, 2, 2, 2, outputs, inputs])
    by_cell = tf.reshape(tf.transpose(by_cell, [0, 2, 1, 3, 4, 5]), [2, 2, 4 * outputs, inputs])
    shape = [n, height + 1, width + 1, 4 * outputs]
    cells = tf.nn.conv2d_transpose(tf.cast(x, dtype), by_cell, shape, 1, "VALID")
    return _finished(tf.ensure_shape(cells, [x.shape[0], *shape[1:]]), bias)


@tf.custom_gradient
def _down(x: tf.Tensor, kernel: tf.Tensor):
    def gradient(upstream: tf.Tensor):
        by_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 2, "SAME")
        return by_x, kernel_gradient(x, upstream)

    return tf.nn.conv2d(x, kernel, 2, "SAME"), gradient


@tf.custom_gradient
def _up(x: tf.Tensor, kernel: tf.Tensor):
    def gradient(upstream: tf.Tensor):
        return tf.nn.conv2d(upstream, kernel, 2, "SAME"), kernel_gradient(upstream, x)

    shape = [tf.shape(x)[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
    return tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME"), gradient


def kernel_gradient(large: tf.Tensor, small: tf.Tensor) -> tf.Tensor:
    """Gradient of the kernel that connects two images.

    Args:
        large: ``[n, 2h, 2w, c]``: what was convolved, or the gradient of what was written.
        small: ``[n, h, w, d]``: the other one.

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
    # What is known since the forward pass would otherwise be cut up then, and kept until now.
    with tf.control_dependencies([large, small]):
        padded = _pad(large)
    cells = tf.nn.space_to_depth(padded, 2)
    patches = [cells[:, i : i + side, j : j + side] for i in range(2) for j in range(2)]
    rows = tf.reshape(small, [-1, d])
    products = [tf.matmul(tf.reshape(x, [-1, 4 * c]), rows, transpose_a=True) for x in patches]
    by_cell = tf.reshape(tf.stack(products), [2, 2, 2, 2, c, d])
    return tf.reshape(tf.transpose(by_cell, [0, 2, 1, 3, 4, 5]), [4, 4, c, d])


def _finish(cells: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.cast(cells_to_pixels(cells)[:, 1:-1, 1:-1], tf.float32) + bias


def _finish_gradient(
    cells: tf.Tensor, bias: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    del bias
    by_cells = pixels_to_cells(_pad(tf.cast(upstream, cells.dtype)))
    # Sums of three numbers at a time would not be vectorised; products of whole rows are.
    channels = upstream.shape[3]
    rows = tf.reshape(upstream, [-1, upstream.shape[2] * channels])
    by_column = tf.matmul(tf.ones([1, rows.shape[0]]), rows)
    return by_cells, tf.reduce_sum(tf.reshape(by_column, [-1, channels]), 0)


_finished = compiled(_finish, _finish_gradient)


def _pad(x: tf.Tensor) -> tf.Tensor:
    """One pixel of zeros around each image: the padding SAME of a 4x4 window of stride 2."""
    return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
