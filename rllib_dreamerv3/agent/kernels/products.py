"""Products with dense and with block-diagonal kernels, and their gradients.

A dense kernel is ``[in, out]``. A block kernel ``[blocks, in, out]`` has a separate part for each
block of x ``[N, blocks * in]``; the results are concatenated, ``[N, blocks * out]``. With a kernel
``[blocks, in, groups, out]`` every block has several results; they are ordered by group first,
``[N, groups * blocks * out]``, so that each group is one contiguous vector.

The plain formula of a block product is a dense product for each block.
"""

import tensorflow as tf

from rllib_dreamerv3.options.table import ComputeDtype


def product(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """Product ``[..., in] -> [..., out]`` with either kind of kernel, in ``dtype``."""
    x, kernel = tf.cast(x, dtype), tf.cast(kernel, dtype)
    if kernel.shape.rank > 2:
        rows = multiply_blocks(tf.reshape(x, [-1, x.shape[-1]]), kernel)
        y = tf.reshape(rows, tf.concat([tf.shape(x)[:-1], [rows.shape[-1]]], 0))
        return tf.ensure_shape(y, [*x.shape[:-1], rows.shape[-1]])
    if x.shape.rank == 2:
        return tf.matmul(x, kernel)
    return tf.tensordot(x, kernel, 1)


def multiply_blocks(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """``[N, blocks * in] -> [N, blocks * out]`` or ``[N, groups * blocks * out]``."""
    blocks, inputs, *_, outputs = kernel.shape
    by_block = tf.transpose(tf.reshape(x, [-1, blocks, inputs]), [1, 0, 2])
    y = tf.matmul(by_block, tf.reshape(kernel, [blocks, inputs, -1]))
    if kernel.shape.rank == 3:
        return tf.reshape(tf.transpose(y, [1, 0, 2]), [-1, blocks * outputs])
    groups = kernel.shape[2]
    by_group = tf.transpose(tf.reshape(y, [blocks, -1, groups, outputs]), [1, 2, 0, 3])
    return tf.reshape(by_group, [-1, groups * blocks * outputs])


def gradient_by_x(upstream: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Gradient of a product by x, ``[N, in]``, from that of the result, ``[N, out]``."""
    if kernel.shape.rank == 2:
        return tf.matmul(upstream, kernel, transpose_b=True)
    blocks, inputs, *_ = kernel.shape
    y = tf.matmul(
        _by_block(upstream, kernel), tf.reshape(kernel, [blocks, inputs, -1]), transpose_b=True
    )
    return tf.reshape(tf.transpose(y, [1, 0, 2]), [-1, blocks * inputs])


def gradient_by_kernel(x: tf.Tensor, upstream: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Gradient of a product by the kernel, from ``x [N, in]`` and the result's, ``[N, out]``."""
    if kernel.shape.rank == 2:
        return tf.matmul(x, upstream, transpose_a=True)
    blocks, inputs, *_ = kernel.shape
    by_block = tf.transpose(tf.reshape(x, [-1, blocks, inputs]), [1, 2, 0])
    return tf.reshape(tf.matmul(by_block, _by_block(upstream, kernel)), kernel.shape)


def _by_block(y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Results of a product by block: ``[blocks, N, out]`` or ``[blocks, N, groups * out]``.

    Inverts the last step of :func:`multiply_blocks`.
    """
    blocks, outputs = kernel.shape[0], kernel.shape[-1]
    if kernel.shape.rank == 3:
        return tf.transpose(tf.reshape(y, [-1, blocks, outputs]), [1, 0, 2])
    groups = kernel.shape[2]
    by_block = tf.transpose(tf.reshape(y, [-1, groups, blocks, outputs]), [2, 0, 1, 3])
    return tf.reshape(by_block, [blocks, -1, groups * outputs])
