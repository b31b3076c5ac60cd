"""Scalars as distributions over 255 bins: what the reward head and the critic predict.

A number lies between two neighbouring bins; its two-hot code splits the probability 1 between them
so that the mean of the bins is the number again. Heads are trained by cross-entropy against that
code and predict by the mean (arXiv 2301.04104v1, eqs. 9 and 10).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import compiled, compiled_keeping
from rllib_dreamerv3.agent.math.scalars import symexp, symlog
from rllib_dreamerv3.errors import unknown_name

NUM_BINS = 255
LIMIT = 20.0


class TwoHot(ABC):
    """Two-hot code over fixed ascending bins that are antisymmetric around the middle one.

    Attributes:
        bins: float32 NumPy ``[255]``.
    """

    def __init__(self, bins: np.ndarray):
        """Take the bins, ``[255]``."""
        self.bins = bins.astype(np.float32)
        self._compiled_mean = compiled(self._mean_of_rows)

    @abstractmethod
    def _to_bin_space(self, x: tf.Tensor) -> tf.Tensor:
        """Map raw numbers to the space in which the bins are given."""

    @abstractmethod
    def _from_bin_space(self, x: tf.Tensor) -> tf.Tensor:
        """Inverse of `_to_bin_space`."""

    def encode(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """The two-hot code: the bins next to each number and their weights.

        Args:
            x: Raw numbers, float32, any shape. Finite ones beyond the outermost bins saturate.

        Returns:
            ``(lower, upper, w_lower, w_upper)``, each of the shape of ``x``: bin indices, int32,
            and weights, float32, that add up to 1. On or beyond an end of the range ``lower`` and
            ``upper`` may be the same bin. Weights of numbers that are not finite are NaN.
        """
        x = self._to_bin_space(x)
        not_above = tf.searchsorted(self.bins, tf.reshape(x, [-1]), side="right")
        not_above = _reshape_like(not_above, x)
        lower = tf.maximum(not_above - 1, 0)
        upper = tf.minimum(not_above, NUM_BINS - 1)
        to_lower = tf.abs(x - tf.gather(self.bins, lower))
        to_upper = tf.abs(tf.gather(self.bins, upper) - x)
        # Beyond the outermost bin: both are the same bin, so that any split of the weight is right.
        saturated = tf.equal(lower, upper)
        to_lower = tf.where(saturated, 1.0, to_lower)
        to_upper = tf.where(saturated, 1.0, to_upper)
        # Not a number, or infinite: the loss shows it, and the update is not applied.
        total = tf.where(tf.math.is_finite(x), to_lower + to_upper, np.nan)
        return lower, upper, to_upper / total, to_lower / total

    def mean(self, logits: tf.Tensor) -> tf.Tensor:
        """The predicted number.

        Opposite bins are subtracted before anything is summed, so that equal logits, as a head has
        before its first update, give exactly 0; a plain sum over bins as large as 4.9e8 would
        give a number of order 10 (2025 code). The difference of two nearly equal probabilities is
        taken from that of their logits, as rounded probabilities would be up to 0.1 off.

        Args:
            logits: float32 ``[..., 255]``.

        Returns:
            Raw numbers, float32 ``[...]``.
        """
        mean = self._compiled_mean(tf.reshape(logits, [-1, NUM_BINS]))
        return _reshape_like(mean, logits[..., 0])

    def _mean_of_rows(self, logits: tf.Tensor) -> tf.Tensor:
        middle = NUM_BINS // 2
        weights = tf.exp(logits - tf.reduce_max(logits, -1, keepdims=True))
        # exp(a) - exp(b) = (exp(a) + exp(b)) * tanh((a - b) / 2), which loses nothing where a and b
        # are nearly the same, as they are for large bins until a head has learned for long.
        opposite = tf.reverse(logits[:, :middle], [1])
        surplus = weights[:, middle + 1 :] + tf.reverse(weights[:, :middle], [1])
        surplus *= tf.tanh(0.5 * (logits[:, middle + 1 :] - opposite))
        mean = tf.linalg.matvec(surplus, self.bins[middle + 1 :]) / tf.reduce_sum(weights, -1)
        return self._from_bin_space(mean)

    def loss(self, logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Cross-entropy of the predicted distribution against the two-hot code of the target.

        Args:
            logits: float32 ``[..., 255]``.
            target: Raw numbers, float32 ``[...]``; no gradient flows into them.

        Returns:
            float32 ``[...]``, in nats; cannot be differentiated twice.

        Raises:
            ValueError: If the shapes do not fit each other, as far as they are known statically.
        """
        return self.losses(logits, target)[0]

    def losses(self, logits: tf.Tensor, *targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The same against several targets, in one pass over the logits.

        Args:
            logits: float32 ``[..., 255]``.
            targets: Raw numbers, float32 ``[...]`` each; no gradient flows into them.

        Returns:
            float32 ``[...]`` for each target, in nats; cannot be differentiated twice.

        Raises:
            ValueError: See :meth:`loss`.
        """
        for target in targets:
            # Reshaping would otherwise accept time-major targets for batch-major logits.
            logits.shape[:-1].assert_is_compatible_with(target.shape)
        stacked = tf.stack([tf.reshape(tf.stop_gradient(target), [-1]) for target in targets])
        rows = tf.reshape(logits, [-1, NUM_BINS])
        losses = _cross_entropies(rows, *self.encode(stacked))
        return tuple(_reshape_like(loss, logits[..., 0]) for loss in tf.unstack(losses))


def _reshape_like(x: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Give ``x`` the shape of ``reference``, and what is known of it statically."""
    return tf.ensure_shape(tf.reshape(x, tf.shape(reference)), reference.shape)


def _losses_and_log_sum(
    logits: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, w_lower: tf.Tensor, w_upper: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    # Cross-entropies [K, N] of logits [N, 255] with K targets of two weighted bins each [K, N].
    # The log-sum [N] is kept for the backward pass.
    log_sum = tf.reduce_logsumexp(logits, -1)
    losses = []
    for at, beside, w_at, w_beside in zip(
        *(tf.unstack(x) for x in (lower, upper, w_lower, w_upper)), strict=True
    ):
        by_code = w_at * tf.gather(logits, at, batch_dims=1)
        losses.append(log_sum - by_code - w_beside * tf.gather(logits, beside, batch_dims=1))
    return tf.stack(losses), log_sum


def _gradient_of_losses(
    logits: tf.Tensor,
    lower: tf.Tensor,
    upper: tf.Tensor,
    w_lower: tf.Tensor,
    w_upper: tf.Tensor,
    log_sum: tf.Tensor,
    upstream: tf.Tensor,
) -> tuple[tf.Tensor | None, ...]:
    # The gradient of a cross-entropy: softmax minus target. TensorFlow's own would write, for each
    # of the gathers, an array as large as the logits.
    by_logits = tf.exp(logits - log_sum[:, None]) * tf.reduce_sum(upstream, 0)[:, None]
    bins = tf.range(NUM_BINS)
    for index, weight in ((lower, w_lower), (upper, w_upper)):
        for at, by_code in zip(tf.unstack(index), tf.unstack(weight * upstream), strict=True):
            by_logits -= tf.where(bins == at[:, None], by_code[:, None], 0.0)
    return by_logits, None, None, None, None


_cross_entropies = compiled_keeping(_losses_and_log_sum, _gradient_of_losses)


class SymlogTwoHot(TwoHot):
    """Evenly spaced bins from -20 to 20 for symlog(x) (arXiv 2301.04104v1)."""

    def __init__(self) -> None:
        """Build the bins."""
        super().__init__(np.linspace(-LIMIT, LIMIT, NUM_BINS))

    def _to_bin_space(self, x: tf.Tensor) -> tf.Tensor:
        return symlog(x)

    def _from_bin_space(self, x: tf.Tensor) -> tf.Tensor:
        return symexp(x)


class SymexpTwoHot(TwoHot):
    """Exponentially spaced bins from symexp(-20) to symexp(20) for x itself (2025 code)."""

    def __init__(self) -> None:
        """Build the lower half and mirror it, so that opposite bins cancel to the last bit."""
        negative = -np.expm1(np.linspace(LIMIT, 0.0, NUM_BINS // 2 + 1))
        super().__init__(np.concatenate([negative, -negative[-2::-1]]))

    def _to_bin_space(self, x: tf.Tensor) -> tf.Tensor:
        return x

    def _from_bin_space(self, x: tf.Tensor) -> tf.Tensor:
        return x


def make_two_hot(name: str) -> TwoHot:
    """The two-hot code of a variant.

    Args:
        name: ``"symlog"`` (2023) or ``"symexp"`` (2025).

    Returns:
        The code.

    Raises:
        ConfigError: If there is no such code.
    """
    codes: dict[str, Callable[[], TwoHot]] = {"symlog": SymlogTwoHot, "symexp": SymexpTwoHot}
    if name not in codes:
        raise unknown_name("two-hot code", name, codes)
    return codes[name]()
