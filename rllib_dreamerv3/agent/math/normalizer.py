"""The scale by which advantages are divided in the actor's loss."""

import tensorflow as tf


class ReturnNormalizer(tf.Module):
    """Moving average of the range of returns (arXiv 2301.04104v1, eqs. 11 and 12).

    Small returns are not scaled up, because the range is never taken smaller than ``floor``.
    The averages start at 0 and are not bias-corrected (2023 and 2025 code).

    Attributes:
        low: Average of the lower percentile, float32 scalar variable.
        high: Average of the upper percentile, float32 scalar variable.
    """

    def __init__(
        self,
        decay: float = 0.99,
        percentiles: tuple[float, float] = (5.0, 95.0),
        floor: float = 1.0,
    ):
        """Create the two averages.

        Args:
            decay: Share of the old average in the new one.
            percentiles: Lower and upper, in percent.
            floor: Least scale.
        """
        super().__init__(name="return_normalizer")
        self._decay = decay
        self._percentiles = percentiles
        self._floor = floor
        self.low = tf.Variable(0.0, trainable=False, name="low")
        self.high = tf.Variable(0.0, trainable=False, name="high")

    def update(self, returns: tf.Tensor) -> None:
        """Move the averages towards the percentiles of these returns.

        Args:
            returns: float32, any shape, not empty.
        """
        ascending = tf.sort(tf.reshape(returns, [-1]))
        for average, percent in zip((self.low, self.high), self._percentiles, strict=True):
            now = _percentile(ascending, percent)
            average.assign(self._decay * average + (1.0 - self._decay) * now)

    def averages(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Both averages as they are now, float32 scalars."""
        return self.low.read_value(), self.high.read_value()

    def assign(self, averages: tuple[tf.Tensor, tf.Tensor]) -> None:
        """Set both averages to what :meth:`averages` gave."""
        for average, value in zip((self.low, self.high), averages, strict=True):
            average.assign(value)

    def scale(self) -> tf.Tensor:
        """The divisor for advantages, float32 scalar; call `update` first, then this."""
        return tf.maximum(self.high - self.low, self._floor)


def _percentile(ascending: tf.Tensor, percent: float) -> tf.Tensor:
    """Percentile of sorted numbers ``[n]``, linear between the two nearest."""
    last = tf.size(ascending) - 1
    position = tf.cast(last, tf.float64) * (percent / 100.0)
    below = tf.cast(tf.floor(position), tf.int32)
    share = tf.cast(position - tf.floor(position), tf.float32)
    lower, upper = ascending[below], ascending[tf.minimum(below + 1, last)]
    return lower + share * (upper - lower)
