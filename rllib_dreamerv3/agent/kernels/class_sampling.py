"""Sampling the classes of a model state from logits, fused into one compiled function.

The plain formula is `plain_sample_classes`: softmax, mixture with the uniform distribution, running
sum, and the first class whose running sum exceeds a uniform number. The optimised kernel normalises
and mixes only the number that the running sums are compared with.
"""

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import only_plain_operations


def plain_sample_classes(logits: tf.Tensor, uniform: tf.Tensor, mix: float) -> tf.Tensor:
    """See `sample_classes`."""
    classes = logits.shape[-1] // uniform.shape[-1]
    by_class = tf.reshape(logits, [-1, uniform.shape[-1], classes])
    probs = (1.0 - mix) * tf.nn.softmax(by_class) + mix / classes
    sample = tf.reduce_sum(tf.cast(tf.cumsum(probs, -1) <= uniform[..., None], tf.int32), -1)
    # Rounding may leave the last running sum below the largest uniform numbers.
    return tf.minimum(sample, classes - 1)


def sample_classes(logits: tf.Tensor, uniform: tf.Tensor, mix: float) -> tf.Tensor:
    """Sample one class from each categorical of a model state by its inverse CDF.

    Args:
        logits: float32 ``[N, S * C]``.
        uniform: float32 ``[N, S]`` in [0, 1).
        mix: Share of the uniform distribution.

    Returns:
        Classes, int32 ``[N, S]``.
    """
    plain = only_plain_operations()
    return (plain_sample_classes if plain else _sample_classes)(logits, uniform, mix)


@tf.function(jit_compile=True, autograph=False)
def _sample_classes(logits: tf.Tensor, uniform: tf.Tensor, mix: float) -> tf.Tensor:
    classes = logits.shape[-1] // uniform.shape[-1]
    rows = tf.reshape(logits, [-1, classes])
    rows = tf.exp(rows - tf.reduce_max(rows, -1, keepdims=True))
    # A running sum as a matrix product: TensorFlow's own is eight times slower on CPUs.
    cumulative = tf.linalg.matmul(rows, np.triu(np.ones((classes, classes), np.float32)))
    mixed_in = (mix / classes) * np.arange(1, classes + 1, dtype=np.float32)
    threshold = (tf.reshape(uniform, [-1, 1]) - mixed_in) * (cumulative[:, -1:] / (1.0 - mix))
    sample = tf.reduce_sum(tf.cast(cumulative <= threshold, tf.int32), -1)
    # Rounding may put the largest uniform numbers beyond the last class.
    return tf.reshape(tf.minimum(sample, classes - 1), tf.shape(uniform))
