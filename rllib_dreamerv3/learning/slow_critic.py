"""How the slow critic follows the critic."""

from collections.abc import Sequence

import tensorflow as tf

from rllib_dreamerv3.learning.guard import either


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
