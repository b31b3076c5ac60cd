"""Leaves out steps that are not finite, so that training that diverges destroys nothing."""

from collections.abc import Callable, Iterable

import tensorflow as tf


def all_finite(scalars: Iterable[tf.Tensor]) -> tf.Tensor:
    """Whether none of these float32 scalars is infinite or no number; bool scalar."""
    return tf.reduce_all(tf.math.is_finite(tf.stack(list(scalars))))


def either(condition: tf.Tensor, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
    """Runs one of two functions for what it assigns.

    A branch costs nothing. A choice for each number between its old and its new value would: it
    is one more pass through all parameters and moments, whose step reads and writes them once.
    """

    def run(assign: Callable[[], None]) -> Callable[[], tf.Tensor]:
        def branch() -> tf.Tensor:
            assign()
            # Branches must give something, and both the same.
            return tf.constant(0)

        return branch

    tf.cond(condition, run(then), run(otherwise))


def only_if(condition: tf.Tensor, step: Callable[[], None]) -> None:
    """Runs a function for what it assigns, or leaves everything as it is."""
    either(condition, step, lambda: None)
