"""Plan2Explore (Sekar et al. 2020, arXiv 2005.05960): disagreement of one-step models.

K models p_k predict the next stochastic latent from the state and the action, as in the authors'
2023 code (the paper predicts the encoder's features and uses the variance)::

    loss      sum_k mean_t || p_k(h_t, z_t, a_t) - z_{t+1} ||^2          on replayed records
    reward    r_{i+1} = mean_d std_k p_k(h_i, z_i, a_i)_d               in imagination

d runs over the S * C numbers of a flat z. Known randomness has the same mean for all models,
hence no reward; the reward vanishes as the models learn.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# A standard deviation of exactly 0 has no gradient.
_LEAST_VARIANCE = float(np.finfo(np.float32).tiny)


def ensemble_loss(
    predictions: Sequence[tf.Tensor], z: tf.Tensor, same_episode: tf.Tensor
) -> tf.Tensor:
    """Compute the sum of the squared errors of all models.

    Args:
        predictions: Of each model, float32 ``[N, S * C]``.
        z: The next z, one-hot vectors float32 ``[N, S * C]``, without gradient.
        same_episode: bool ``[N]``; no model can predict how the next episode begins.

    Returns:
        float32 scalar: the sum over models of the mean over N, where transitions between episodes
        count 0.
    """
    weights = tf.cast(same_episode, tf.float32)
    errors = [tf.reduce_sum(tf.math.squared_difference(x, z), -1) for x in predictions]
    return tf.reduce_mean(weights * tf.add_n(errors))


def disagreement(predictions: Sequence[tf.Tensor]) -> tf.Tensor:
    """Compute the intrinsic reward: mean over latent dimensions of the standard deviation.

    Args:
        predictions: Of each model, float32 ``[N, S * C]``.

    Returns:
        float32 ``[N]``; differentiable also where models agree exactly. The standard deviation is
        that of the models as the whole population, divided by K (2023 code).
    """
    mean = tf.add_n(list(predictions)) / len(predictions)
    squares = [tf.math.squared_difference(x, mean) for x in predictions]
    variance = tf.add_n(squares) / len(predictions)
    return tf.reduce_mean(tf.sqrt(tf.maximum(variance, _LEAST_VARIANCE)), -1)
