"""Categorical distributions of the model state and of discrete actions.

Distributions are given by log-probabilities ``[..., C]``; logits become such by `unimix`.
"""

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import only_plain_operations

# The greatest float32 below 1.
_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))

# Beyond, the product with a C x C matrix is slower than a cumulative sum, and each use of it keeps
# such a matrix: 0.4 GB for 10,000 classes.
_MAX_PRODUCT_CLASSES = 512


def unimix_probs(
    logits: tf.Tensor, mix: float = 0.01, allowed: tf.Tensor | None = None
) -> tf.Tensor:
    """Mix a little of the uniform distribution into ``softmax(logits)``.

    No class ever loses all its probability, which keeps the KL between two of these distributions
    finite and well scaled (arXiv 2301.04104v1, "World Model Learning").

    Args:
        logits: float32 ``[..., C]``.
        mix: Share of the uniform distribution.
        allowed: Classes that are possible, bool ``[..., C]``, at least one in each distribution;
            the uniform distribution is that over these. None: all of them.

    Returns:
        Probabilities of the mixture, float32 ``[..., C]``; 0 where a class is not allowed.
    """
    if allowed is None:
        possible = tf.cast(tf.shape(logits)[-1], logits.dtype)
    else:
        possible = tf.reduce_sum(tf.cast(allowed, logits.dtype), -1, keepdims=True)
        logits = tf.where(allowed, logits, logits.dtype.min)
    probs = (1.0 - mix) * tf.nn.softmax(logits) + mix / possible
    return probs if allowed is None else tf.where(allowed, probs, 0.0)


def unimix(logits: tf.Tensor, mix: float = 0.01, allowed: tf.Tensor | None = None) -> tf.Tensor:
    """Logarithm of `unimix_probs`, finite: a class that is not allowed has log(1e-30)."""
    if allowed is not None:
        return tf.math.log(tf.maximum(unimix_probs(logits, mix, allowed), 1e-30))
    if mix == 0:
        return tf.nn.log_softmax(logits)
    return tf.math.log(unimix_probs(logits, mix))


def inverse_cdf_sample(probs: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Sample one class from each distribution with one uniform number.

    Args:
        probs: Probabilities, float32 ``[..., C]``, C known statically. They need not add up to 1
            to the last bit: the numbers are scaled to their sum.
        uniform: float32 ``[...]`` in [0, 1).

    Returns:
        Classes, int32 ``[...]``. Classes of probability 0 are never returned.
    """
    classes = probs.shape[-1]
    rows = tf.reshape(probs, [-1, classes])
    if only_plain_operations() or classes > _MAX_PRODUCT_CLASSES:
        cumulative = tf.cumsum(rows, -1)
    else:
        # As a matrix product: TensorFlow's own cumulative sum is eight times slower on CPUs.
        running_sum = np.triu(np.ones((classes, classes), np.float32))
        cumulative = tf.linalg.matmul(rows, running_sum)
    # Strictly below the total, also after rounding: no class after the last possible is returned.
    threshold = tf.minimum(tf.reshape(uniform, [-1, 1]), _BELOW_ONE) * cumulative[:, -1:]
    sample = tf.math.count_nonzero(cumulative <= threshold, -1, dtype=tf.int32)
    return tf.ensure_shape(tf.reshape(sample, tf.shape(uniform)), uniform.shape)


@tf.custom_gradient
def straight_through(one_hot: tf.Tensor, probs: tf.Tensor) -> tf.Tensor:
    """A sample whose gradient is that of the probabilities (arXiv 2301.04104v1, section 2).

    The forward pass takes nothing from the probabilities, so that a compiled one that is not
    differentiated does not compute them.

    Args:
        one_hot: Sampled classes, float32 ``[..., C]``.
        probs: Probabilities they were sampled from, float32 ``[..., C]``.

    Returns:
        ``one_hot``; its whole gradient goes to ``probs``.
    """
    return tf.identity(one_hot), lambda upstream: (None, upstream)


def kl_divergence(log_p: tf.Tensor, log_q: tf.Tensor) -> tf.Tensor:
    """KL[p || q] of S independent categoricals, summed over them.

    Args:
        log_p: Log-probabilities, float32 ``[..., S, C]``, finite.
        log_q: The same of the other distribution.

    Returns:
        float32 ``[...]``, in nats.
    """
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), [-2, -1])


def entropy(log_p: tf.Tensor) -> tf.Tensor:
    """Entropy of each categorical.

    Args:
        log_p: Log-probabilities, float32 ``[..., C]``, finite.

    Returns:
        float32 ``[...]``, in nats.
    """
    return -tf.reduce_sum(tf.exp(log_p) * log_p, -1)


def free_bits(kl: tf.Tensor, nats: float = 1.0) -> tf.Tensor:
    """Clip a KL from below, so that nothing is gained by pushing it any further.

    Args:
        kl: Already summed over the categoricals of a state, float32 ``[...]``.
        nats: Threshold (arXiv 2301.04104v1, eq. 5).

    Returns:
        float32 ``[...]``; the gradient is 0 where ``kl`` lies below the threshold.
    """
    return tf.maximum(kl, nats)
