"""Assignments of an update that depend on a condition: finite steps, and the slow critic."""

from collections.abc import Callable, Iterable, Sequence

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


def follow(
    slow: Sequence[tf.Variable],
    fast: Sequence[tf.Variable],
    decay: float,
    wholly: tf.Tensor | None = None,
) -> None:
    """Moves the slow critic's weights towards those of the critic, which has stepped already.

    Args:
        slow: The slow critic's weights.
        fast: The critic's, in the same order.
        decay: What the slow ones keep of themselves.
        wholly: bool scalar, whether they become the critic's instead; None for never.

    Source: arXiv 2301.04104v1, critic learning, after eq. 10; the whole copy is of the 2023 code.
    """
    pairs = list(zip(slow, fast, strict=True))

    def copy() -> None:
        for s, f in pairs:
            s.assign(f)

    def mix() -> None:
        for s, f in pairs:
            s.assign_sub((1.0 - decay) * (s - f))

    if wholly is None:
        mix()
    else:
        either(wholly, copy, mix)
