"""Draws items in proportion to weights that change: a sum tree in NumPy arrays."""

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

# Items under one sum. Few large steps are faster in NumPy than many small ones, so the tree has two
# levels: a draw adds up the sums of all blocks, and the weights of one block. With this size both
# are about 4,000 numbers for a million items and a batch of 16.
BLOCK = 256


class SumTree:
    """Whole-number weights of items, and their sums over blocks of consecutive items.

    Sums of whole numbers are exact, so a draw depends only on the weights and their order, not on
    how the weights came about or where blocks begin.

    Attributes:
        weights: int64 ``[N]``, at least 0; changed only by `set`.
    """

    def __init__(self, num_items: int, weights: npt.ArrayLike = ()):
        """Create a tree.

        Args:
            num_items: Least number of items, N; rounded up to whole blocks.
            weights: Weights of the first items; all others are 0.
        """
        first = np.asarray(weights, np.int64)
        self.weights: IntArray = np.zeros(-(-num_items // BLOCK) * BLOCK, np.int64)
        self.weights[: len(first)] = first
        self._sums: IntArray = self.weights.reshape(-1, BLOCK).sum(axis=1)

    def set(self, items: IntArray, weights: npt.ArrayLike) -> None:
        """Replace weights.

        Args:
            items: Their numbers ``[n]``. Of a repeated number, the last weight stays.
            weights: int64 ``[n]``, or one for all.
        """
        before, order = self.weights[items], np.arange(len(items))
        # A repeated number must change its sum once. The weights themselves, which are overwritten
        # anyway, show where each number occurs last.
        self.weights[items] = order
        is_last = self.weights[items] == order
        self.weights[items] = weights
        once = items[is_last]
        np.add.at(self._sums, once // BLOCK, self.weights[once] - before[is_last])

    def draw(self, count: int, rng: np.random.Generator) -> IntArray:
        """Draw items, with replacement.

        Args:
            count: Number of draws.
            rng: Generator; one number is taken for each draw.

        Returns:
            Their numbers, int64 ``[count]``.

        Raises:
            ValueError: If all weights are 0.
        """
        upto = np.cumsum(self._sums)
        targets = rng.integers(upto[-1] if len(upto) else 0, size=count)
        block = np.searchsorted(upto, targets, side="right")
        targets -= upto[block] - self._sums[block]
        within = self.weights.reshape(-1, BLOCK)[block].cumsum(axis=1)
        return block * BLOCK + (within > targets[:, None]).argmax(axis=1)
