"""Products of one-hot vectors with a kernel, as sums of kernel rows.

z is S one-hot vectors of C classes. Its product with a kernel is the sum of the S kernel rows that
the class indices select: several times cheaper than the plain formula, a dense product with one-hot
vectors (:func:`plain_add_one_hot_product`), and without these vectors in memory.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import compiled, only_plain_operations


def flat_one_hot(index: tf.Tensor, classes: int) -> tf.Tensor:
    """Concatenated one-hot vectors: int32 ``[..., S]`` -> float32 ``[..., S * C]``.

    A class of -1 gives zeros.
    """
    if only_plain_operations():
        # tf.one_hot becomes an ONNX operation for which -1 is the last class.
        one_hot = tf.cast(index[..., None] == tf.range(classes), tf.float32)
    else:
        one_hot = tf.one_hot(index, classes)
    return tf.reshape(one_hot, tf.concat([tf.shape(index)[:-1], [index.shape[-1] * classes]], 0))


def add_one_hot_product(
    total: tf.Tensor, index: tf.Tensor, kernel: tf.Tensor, classes: int, first: int = 0
) -> tf.Tensor:
    """Add the product of one-hot vectors with rows of a kernel.

    Args:
        total: float32 or bfloat16 ``[N, U]``, to which the product is added.
        index: int32 ``[N, S]``; a row of -1 stands for a vector of zeros.
        kernel: float32 ``[R, U]``, of which S * C rows multiply the vectors.
        classes: C.
        first: Index of the first of these rows.

    Returns:
        float32 ``[N, U]``, ``total + flat_one_hot(index, C) @ kernel[first : first + S * C]``.
    """
    if only_plain_operations():
        return plain_add_one_hot_product(total, index, kernel, classes, first)
    return _compiled(first, classes)(total, index, kernel)


def plain_add_one_hot_product(
    total: tf.Tensor, index: tf.Tensor, kernel: tf.Tensor, classes: int, first: int = 0
) -> tf.Tensor:
    """The plain formula of :func:`add_one_hot_product`."""
    rows = index.shape[-1] * classes
    product = tf.matmul(flat_one_hot(index, classes), kernel[first : first + rows])
    return tf.cast(total, tf.float32) + product


def _forward(
    total: tf.Tensor, index: tf.Tensor, kernel: tf.Tensor, first: int, classes: int
) -> tf.Tensor:
    # XLA fuses the S gathers and S additions into one loop over the output. It would copy a slice
    # of the kernel before gathering, hence the offset `first`.
    total = tf.cast(total, tf.float32)
    added = tf.zeros_like(total)
    for s in range(index.shape[1]):
        added += tf.gather(kernel, tf.maximum(index[:, s], 0) + (first + s * classes))
    return total + tf.where(index[:, :1] < 0, 0.0, added)


def _backward(
    total: tf.Tensor,
    index: tf.Tensor,
    kernel: tf.Tensor,
    upstream: tf.Tensor,
    first: int,
    classes: int,
) -> tuple[tf.Tensor, None, tf.Tensor]:
    # XLA adds in place, one categorical after the other: ten times faster than creating a one-hot
    # matrix and multiplying with it.
    by_rows = tf.map_fn(
        lambda c: tf.math.unsorted_segment_sum(upstream, c, classes),
        tf.transpose(index),
        fn_output_signature=tf.float32,
    )
    by_rows = tf.reshape(by_rows, [-1, kernel.shape[1]])
    after = kernel.shape[0] - first - by_rows.shape[0]
    return tf.cast(upstream, total.dtype), None, tf.pad(by_rows, [[first, after], [0, 0]])


@functools.cache
def _compiled(first: int, classes: int) -> Callable[..., tf.Tensor]:
    places = {"first": first, "classes": classes}
    return compiled(functools.partial(_forward, **places), functools.partial(_backward, **places))
