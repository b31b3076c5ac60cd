"""A bias whose gradient treats all outputs alike, to the last bit."""

import tensorflow as tf


@tf.custom_gradient
def add_even_bias(y: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Adds a bias; equal columns of the gradient give it equal numbers, wherever they stand.

    TensorFlow's sum over rows adds up the last few columns on CPUs, those beyond a multiple of the
    vector length, in another order than all others. For two-hot outputs in raw space these are the
    bins of up to 4.9e8. In the 2025 code each cancels with its opposite until it is a target: both
    have the same logits as long as both have had the same gradients. With a difference of one
    part in a million between the biases of the two, what is left of such bins was larger than the
    values of a new critic. A product with ones adds up all columns in the same order.

    Args:
        y: float32 ``[N, n]``.
        bias: float32 ``[n]``.

    Returns:
        ``y + bias``, float32 ``[N, n]``; cannot be differentiated twice.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return upstream, tf.matmul(tf.ones([1, tf.shape(upstream)[0]]), upstream)[0]

    return y + bias, gradient
