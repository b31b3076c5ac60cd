"""The rows that one of several learners has of a batch, and their random numbers."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class RowShare(NamedTuple):
    """One of several equal parts of a batch, each of consecutive rows.

    Attributes:
        part: Which part, from 0.
        parts: How many there are.
    """

    part: int = 0
    parts: int = 1

    def draw(
        self, draw: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor | int, axis: int
    ) -> tf.Tensor:
        """Draw the random numbers that the rows of this part would get in the whole batch.

        Those of the whole batch are drawn, and the others dropped: they cost little, and several
        learners then compute what one would with all rows.

        Args:
            draw: Gives the numbers of so many rows, always the same.
            rows: Number of rows here, int32 scalar.
            axis: Axis of the rows in what ``draw`` gives.

        Returns:
            What ``draw`` gives, with ``rows`` along that axis.
        """
        if self.parts == 1:
            return draw(rows)
        return tf.split(draw(rows * self.parts), self.parts, axis)[self.part]


WHOLE = RowShare()
"""All rows."""
