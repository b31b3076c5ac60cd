"""A mean over rows whose gradients are taken on the way forward, one slice of rows after the other.

Ordinarily all that the way back needs is kept until the loss of the last row is known. The mean of
losses of single rows need not wait for that: the memory of one slice is enough, at the same cost.
"""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

# Nested tuples and dicts of tensors with one row each, or None.
Rows = Any


def mean_by_slices(
    function: Callable[[Rows, Rows], tuple[tf.Tensor, Rows]],
    rows: Rows,
    data: Rows,
    size: int | None,
) -> tuple[tf.Tensor, Rows]:
    """Mean of a loss over N rows.

    Args:
        function: ``(rows [n], data [n]) -> (losses float32 [n], more [n])``; it reads variables.
            What it gives for a row depends on that row alone.
        rows: ``[N, ...]``, what gradients reach, N known. Integers among it are data.
        data: ``[N, ...]``.
        size: Rows of a slice, but for the last one. None: one slice.

    Returns:
        The mean ``[]``, with gradients to ``rows`` and to the variables; and ``more [N]``, which
        is data if there are several slices.
    """
    leaves = tf.nest.flatten(rows)
    reached = [i for i, x in enumerate(leaves) if x is not None and x.dtype.is_floating]
    n = leaves[reached[0]].shape[0]
    if size is None or n <= size:
        losses, more = function(rows, data)
        return tf.reduce_mean(losses), more
    all_more: list[Rows] = []

    @tf.custom_gradient
    def mean(*inputs: tf.Tensor):
        given = list(leaves)
        for i, x in zip(reached, inputs, strict=True):
            given[i] = x
        total, by_inputs = tf.zeros([]), []
        by_variable: dict[Any, tf.Tensor] = {}
        before: list[tf.Tensor] = []
        for start in range(0, n, size):
            # Else all slices would be under way together, and in memory.
            with tf.control_dependencies(before):
                part, part_of_data = (
                    _map(lambda x, start=start: x[start : start + size], structure)
                    for structure in (given, data)
                )
                watched = [part[i] for i in reached]
                with tf.GradientTape() as tape:
                    tape.watch(watched)
                    losses, more = function(tf.nest.pack_sequence_as(rows, part), part_of_data)
                    loss = tf.reduce_sum(losses) / n
                variables = tape.watched_variables()
                by_watched, by_variables = tape.gradient(
                    loss, [watched, variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
                )
                total += loss
                for variable, added in zip(variables, by_variables, strict=True):
                    by_variable[variable.ref()] = added + by_variable.get(variable.ref(), 0.0)
            before = [total, *by_watched, *by_variable.values()]
            by_inputs.append(by_watched)
            all_more.append(more)
        whole = [tf.concat(x, 0) for x in zip(*by_inputs, strict=True)]

        def gradient(upstream: tf.Tensor, variables: Iterable[tf.Variable]):
            by_variables = [upstream * by_variable[variable.ref()] for variable in variables]
            return [upstream * x for x in whole], by_variables

        return total, gradient

    total = mean(*(leaves[i] for i in reached))
    return total, _map(lambda *parts: tf.stop_gradient(tf.concat(parts, 0)), *all_more)


def _map(function: Callable[..., tf.Tensor], *structures: Rows) -> Rows:
    return tf.nest.map_structure(lambda *x: None if x[0] is None else function(*x), *structures)
