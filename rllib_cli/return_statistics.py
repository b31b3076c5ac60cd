"""What the returns of some episodes say: their spread, and how well their mean is known."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
_QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "max": 1.0}


@dataclass(frozen=True)
class ReturnStatistics:
    """Statistics of the returns of n episodes.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation, with n - 1; None for a single episode.
        quantiles: Name -> value, from "min" to "max", linear between two returns.
        interval: Student's t interval in which the mean of all such episodes lies with a
            confidence of 95 %; None for a single episode.
    """

    mean: float
    deviation: float | None
    quantiles: dict[str, float]
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, returns: Sequence[float]) -> "ReturnStatistics":
        """Computes them.

        Args:
            returns: Of at least one episode.
        """
        import numpy as np

        mean, n = statistics.fmean(returns), len(returns)
        quantiles = dict(
            zip(_QUANTILES, np.quantile(returns, list(_QUANTILES.values())).tolist(), strict=True)
        )
        if n == 1:
            return cls(mean, None, quantiles, None)
        from scipy.stats import t

        deviation = statistics.stdev(returns)
        half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / n**0.5
        return cls(mean, deviation, quantiles, (mean - half, mean + half))

    def as_json(self) -> dict[str, Any]:
        """The same for a file of results."""
        return {
            "return_mean": self.mean,
            "return_std": self.deviation,
            "return_quantiles": self.quantiles,
            "return_mean_interval": self.interval
            and {"confidence": CONFIDENCE, "method": "Student's t", "bounds": self.interval},
        }
