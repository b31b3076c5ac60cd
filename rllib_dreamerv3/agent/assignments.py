"""Assignments of an update that depend on a condition: finite steps, and the slow critic."""

from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf


def all_finite(scalars: Iterable[tf.Tensor]) -> tf.Tensor:
    """Whether all of these float32 scalars are finite; bool scalar."""
    return tf.reduce_all(tf.math.is_finite(tf.stack(list(scalars))))


def cond_assign(
    condition: tf.Tensor, then: Callable[[], None], otherwise: Callable[[], None]
) -> None:
    """Run one of two functions that assign variables.

    ``tf.cond`` avoids an extra pass over all parameters and moments, which ``tf.where`` between
    old and new values would need.
    """

    def run(assign: Callable[[], None]) -> Callable[[], tf.Tensor]:
        def branch() -> tf.Tensor:
            assign()
            # Both branches must return the same type.
            return tf.constant(0)

        return branch

    tf.cond(condition, run(then), run(otherwise))


def only_if(condition: tf.Tensor, step: Callable[[], None]) -> None:
    """Run a function that assigns variables, or change nothing."""
    cond_assign(condition, step, lambda: None)


def update_slow_critic(
    slow: Sequence[tf.Variable],
    fast: Sequence[tf.Variable],
    decay: float,
    copy: tf.Tensor | None = None,
) -> None:
    """Update the slow critic's weights as a moving average of the critic's new weights.

    Args:
        slow: The slow critic's weights.
        fast: The critic's, in the same order.
        decay: Decay of the moving average.
        copy: bool scalar, whether to copy the critic's weights instead; None for never.

    Source: arXiv 2301.04104v1, critic learning, after eq. 10; the copy is from the 2023 code.
    """
    pairs = list(zip(slow, fast, strict=True))

    def assign() -> None:
        for s, f in pairs:
            s.assign(f)

    def mix() -> None:
        for s, f in pairs:
            s.assign_sub((1.0 - decay) * (s - f))

    if copy is None:
        mix()
    else:
        cond_assign(copy, assign, mix)
