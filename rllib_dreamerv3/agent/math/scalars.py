"""Squashing of numbers whose scale is not known beforehand."""

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import only_plain_operations


def symlog(x: tf.Tensor) -> tf.Tensor:
    """Symmetric logarithm, ``sign(x) * ln(1 + |x|)`` (arXiv 2301.04104v1, eq. 1).

    Args:
        x: float32, any shape.

    Returns:
        float32, same shape. The gradient at 0 is 0, as ``sign`` has none there.
    """
    if only_plain_operations():
        # ONNX has no log1p.
        return tf.sign(x) * tf.math.log(1.0 + tf.abs(x))
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


def symexp(x: tf.Tensor) -> tf.Tensor:
    """Inverse of `symlog`, ``sign(x) * (exp(|x|) - 1)`` (arXiv 2301.04104v1, eq. 1).

    Args:
        x: float32, any shape.

    Returns:
        float32, same shape; infinite beyond ``|x|`` = 88.7.
    """
    return tf.sign(x) * tf.math.expm1(tf.abs(x))
