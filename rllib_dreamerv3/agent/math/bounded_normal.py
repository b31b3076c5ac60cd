"""Normal distribution of continuous actions with bounded mean and standard deviation.

Samples are neither squashed nor clipped here: they may leave [-1, 1], and log-probabilities are
those of the plain normal distribution (2023 and 2025 code).
"""

import math

import tensorflow as tf

_LOG_SQRT_2_PI = 0.5 * math.log(2.0 * math.pi)


def parameters(
    mean_raw: tf.Tensor, std_raw: tf.Tensor, min_std: float = 0.1, max_std: float = 1.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn two network outputs into mean and standard deviation.

    Args:
        mean_raw: float32 ``[..., A]``.
        std_raw: float32 ``[..., A]``; 0 gives 0.893 with the default bounds.
        min_std: Lower bound of the standard deviation.
        max_std: Upper bound of the standard deviation.

    Returns:
        Mean ``tanh(mean_raw)`` and standard deviation, each float32 ``[..., A]``.
    """
    return tf.tanh(mean_raw), (max_std - min_std) * tf.sigmoid(std_raw + 2.0) + min_std


def sample(mean: tf.Tensor, std: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Actions, differentiable by mean and standard deviation.

    Args:
        mean: float32 ``[..., A]``.
        std: float32 ``[..., A]``.
        noise: Standard normal numbers, float32 ``[..., A]``.

    Returns:
        float32 ``[..., A]``.
    """
    return mean + std * noise


def log_prob(mean: tf.Tensor, std: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Log-density of actions, summed over their components.

    Of each: ``-((x - mean) / std)^2 / 2 - log(std) - log(2 pi) / 2``.

    Args:
        mean: float32 ``[..., A]``.
        std: float32 ``[..., A]``.
        x: Actions, float32 ``[..., A]``.

    Returns:
        float32 ``[...]``.
    """
    # In the order of TensorFlow Probability, so that rounding is the same.
    unnormalized = -0.5 * tf.math.squared_difference(x / std, mean / std)
    return tf.reduce_sum(unnormalized - (_LOG_SQRT_2_PI + tf.math.log(std)), -1)


def entropy(std: tf.Tensor) -> tf.Tensor:
    """Differential entropy, summed over the components: of each ``1/2 + log(2 pi)/2 + log(std)``.

    Args:
        std: float32 ``[..., A]``.

    Returns:
        float32 ``[...]``, in nats; negative for small deviations.
    """
    # The factor 1, which TensorFlow Probability has too, decides in which order gradients add up.
    return tf.reduce_sum((0.5 + (_LOG_SQRT_2_PI + tf.math.log(std))) * 1.0, -1)
