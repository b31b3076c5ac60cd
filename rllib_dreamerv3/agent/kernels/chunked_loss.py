"""A mean loss over many rows whose gradients are computed slice by slice, in the forward pass.

The plain formula is ``tf.reduce_mean(function(rows, data)[0])`` (`size` None): TensorFlow keeps
the activations of all rows from the forward to the backward pass. Except for a factor, the gradient
of a mean does not depend on the mean: each slice can be differentiated right after its forward
pass. Only the activations of one slice are in memory; nothing is computed twice.
"""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

# Nested tuples and dicts of tensors ``[N, ...]``, or None.
Rows = Any


def mean_by_slices(
    function: Callable[[Rows, Rows], tuple[tf.Tensor, Rows]],
    rows: Rows,
    data: Rows,
    size: int | None,
) -> tuple[tf.Tensor, Rows]:
    """Mean of a loss over N rows.

    Args:
        function: ``(rows [n], data [n]) -> (losses float32 [n], more [n])``. The results for a row
            depend only on that row (and on variables).
        rows: ``[N, ...]``, with static N; differentiated, except integers.
        data: ``[N, ...]``, not differentiated.
        size: Rows of a slice (the last one may have fewer). None: one slice, plain.

    Returns:
        The mean ``[]``, with gradients to ``rows`` and to the variables that the function reads;
        and ``more [N]``, without gradients if there are several slices.
    """
    leaves = tf.nest.flatten(rows)
    floating = [i for i, x in enumerate(leaves) if x is not None and x.dtype.is_floating]
    n = leaves[floating[0]].shape[0]
    if size is None or n <= size:
        losses, more = function(rows, data)
        return tf.reduce_mean(losses), more
    all_more: list[Rows] = []

    @tf.custom_gradient
    def mean(*inputs: tf.Tensor):
        given = list(leaves)
        for i, x in zip(floating, inputs, strict=True):
            given[i] = x
        total, by_inputs = tf.zeros([]), []
        by_variable: dict[Any, tf.Tensor] = {}
        before: list[tf.Tensor] = []
        for start in range(0, n, size):
            # Without this TensorFlow would compute slices in parallel, all of them in memory.
            with tf.control_dependencies(before):
                part, part_of_data = (
                    _map(lambda x, start=start: x[start : start + size], structure)
                    for structure in (given, data)
                )
                watched = [part[i] for i in floating]
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

    total = mean(*(leaves[i] for i in floating))
    return total, _map(lambda *parts: tf.stop_gradient(tf.concat(parts, 0)), *all_more)


def _map(function: Callable[..., tf.Tensor], *structures: Rows) -> Rows:
    return tf.nest.map_structure(lambda *x: None if x[0] is None else function(*x), *structures)
