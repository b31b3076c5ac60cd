"""Squashing of numbers whose scale is not known beforehand."""

import tensorflow as tf


def symlog(x: tf.Tensor) -> tf.Tensor:
    """Symmetric logarithm, ``sign(x) * ln(1 + |x|)`` (arXiv 2301.04104v1, eq. 1).

    Args:
        x: float32, any shape.

    Returns:
        float32, same shape. The gradient at 0 is 0, as ``sign`` has none there.
    """
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


def symexp(x: tf.Tensor) -> tf.Tensor:
    """Inverse of `symlog`, ``sign(x) * (exp(|x|) - 1)`` (arXiv 2301.04104v1, eq. 1).

    Args:
        x: float32, any shape.

    Returns:
        float32, same shape; infinite beyond ``|x|`` = 88.7.
    """
    return tf.sign(x) * tf.math.expm1(tf.abs(x))
