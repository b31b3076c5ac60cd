"""Categorical distributions of the model state and of discrete actions.

Distributions are given by log-probabilities ``[..., C]``; logits become such by `unimix`.
"""

import numpy as np
import tensorflow as tf

# The greatest float32 below 1.
_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


def unimix(logits: tf.Tensor, mix: float = 0.01) -> tf.Tensor:
    """Mixes a little of the uniform distribution into ``softmax(logits)``.

    No class ever loses all its probability, which keeps the KL between two of these distributions
    finite and well scaled (arXiv 2301.04104v1, "World Model Learning").

    Args:
        logits: float32 ``[..., C]``.
        mix: Share of the uniform distribution; 0 gives plain log-softmax.

    Returns:
        Log-probabilities of the mixture, float32 ``[..., C]``.
    """
    if mix == 0:
        return tf.nn.log_softmax(logits)
    return tf.math.log(unimix_probs(logits, mix))


def unimix_probs(logits: tf.Tensor, mix: float = 0.01) -> tf.Tensor:
    """The probabilities themselves, where their logarithm is not needed; see `unimix`."""
    classes = tf.cast(tf.shape(logits)[-1], logits.dtype)
    return (1.0 - mix) * tf.nn.softmax(logits) + mix / classes


def masked_unimix(logits: tf.Tensor, allowed: tf.Tensor, mix: float = 0.01) -> tf.Tensor:
    """The same where only some classes are possible; the uniform part is shared among these.

    Args:
        logits: float32 ``[..., C]``.
        allowed: bool ``[..., C]``, at least one in each distribution.
        mix: Share of the uniform distribution.

    Returns:
        Log-probabilities, float32 ``[..., C]``, finite: a class that is not allowed has 1e-30.
    """
    share = tf.cast(allowed, tf.float32)
    uniform = share / tf.reduce_sum(share, -1, keepdims=True)
    possible = tf.nn.softmax(tf.where(allowed, logits, logits.dtype.min))
    probs = (1.0 - mix) * possible + mix * uniform
    return tf.math.log(tf.where(allowed, tf.maximum(probs, 1e-30), 1e-30))


@tf.function(jit_compile=True, autograph=False)
def sample_classes(logits: tf.Tensor, uniform: tf.Tensor, mix: float) -> tf.Tensor:
    """Samples the classes of a model state, straight from raw logits.

    The same as `inverse_cdf_sample` of `unimix_probs`, compiled: neither the probabilities nor
    their running sums are normalised or mixed; the thresholds they are compared with are.

    Args:
        logits: float32 ``[N, S * C]``.
        uniform: float32 ``[N, S]`` in [0, 1).
        mix: Share of the uniform distribution.

    Returns:
        Classes, int32 ``[N, S]``.
    """
    classes = logits.shape[-1] // uniform.shape[-1]
    rows = tf.reshape(logits, [-1, classes])
    rows = tf.exp(rows - tf.reduce_max(rows, -1, keepdims=True))
    cumulative = tf.linalg.matmul(rows, np.triu(np.ones((classes, classes), np.float32)))
    mixed_in = (mix / classes) * np.arange(1, classes + 1, dtype=np.float32)
    threshold = (tf.reshape(uniform, [-1, 1]) - mixed_in) * (cumulative[:, -1:] / (1.0 - mix))
    sample = tf.reduce_sum(tf.cast(cumulative <= threshold, tf.int32), -1)
    # Rounding may put the largest uniform numbers beyond the last class.
    return tf.reshape(tf.minimum(sample, classes - 1), tf.shape(uniform))


def inverse_cdf_sample(probs: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Samples one class from each distribution with one uniform number.

    Args:
        probs: Probabilities, float32 ``[..., C]``, C known statically. They need not add up to 1
            to the last bit: the numbers are scaled to their sum.
        uniform: float32 ``[...]`` in [0, 1).

    Returns:
        Classes, int32 ``[...]``. Classes of probability 0 are never returned.
    """
    classes = probs.shape[-1]
    # A cumulative sum as a matrix product: TensorFlow's own is eight times slower on CPUs.
    running_sum = np.triu(np.ones((classes, classes), np.float32))
    cumulative = tf.linalg.matmul(tf.reshape(probs, [-1, classes]), running_sum)
    # Strictly below the total, also after rounding: no class after the last possible is returned.
    threshold = tf.minimum(tf.reshape(uniform, [-1, 1]), _BELOW_ONE) * cumulative[:, -1:]
    sample = tf.math.count_nonzero(cumulative <= threshold, -1, dtype=tf.int32)
    return tf.ensure_shape(tf.reshape(sample, tf.shape(uniform)), uniform.shape)


def straight_through(one_hot: tf.Tensor, probs: tf.Tensor) -> tf.Tensor:
    """A sample whose gradient is that of the probabilities (arXiv 2301.04104v1, section 2).

    Args:
        one_hot: Sampled classes, float32 ``[..., C]``.
        probs: Probabilities they were sampled from, float32 ``[..., C]``.

    Returns:
        ``one_hot``, to the last bit.
    """
    return one_hot + (probs - tf.stop_gradient(probs))


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
    """Clips a KL from below, so that nothing is gained by pushing it any further.

    Args:
        kl: Already summed over the categoricals of a state, float32 ``[...]``.
        nats: Threshold (arXiv 2301.04104v1, eq. 5).

    Returns:
        float32 ``[...]``; the gradient is 0 where ``kl`` lies below the threshold.
    """
    return tf.maximum(kl, nats)
