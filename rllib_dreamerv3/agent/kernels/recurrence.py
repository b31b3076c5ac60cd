"""A recurrence over sequences, whose backward pass has one product for each kernel.

The plain formula, for every step t of a sequence::

    state_t, output_t = step(state_{t-1}, inputs_t)

Steps are sequential and a batch has few rows, so the work per step determines the time. In every
step, TensorFlow's own gradient of a loop accumulates a gradient as large as the kernel, for every
kernel. Here the backward loop carries only gradients of activations. The gradient of each kernel is
one product over all steps of all rows, after the loop. XLA compiles both loops and fuses the small
operations between the products.

The forward loop records the products. The backward loop runs the step again with the recorded
products, and records the factors and the gradients of the results.

A loop uses one core, and few rows fit its cache better than many: rows are computed in small
groups, in parallel.

This is for CPUs. On other devices the plain formula runs as TensorFlow's own loop.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import only_plain_operations
from rllib_dreamerv3.agent.kernels.parameters import Parameter, View, accessed_by, value_of
from rllib_dreamerv3.agent.kernels.products import gradient_by_kernel, gradient_by_x, product

# Nested tuples of tensors, or one tensor.
Nest = Any
Step = Callable[[Nest, Nest, Nest, Nest], tuple[Nest, Nest]]

# Rows of a group. On two cores, one group of 8 on each takes half the time of 16 rows on one core
# for small kernels, four fifths for larger ones. Not derived from the number of cores, because
# rounding depends on it.
ROWS_OF_A_GROUP = 8


class _Forward(NamedTuple):
    """Result of the forward loop, time-major; without the first axis for one step.

    Attributes:
        state: State after each step.
        output: Output of each step.
        products: Products of each step, in order.
    """

    state: Nest
    output: Nest
    products: tuple[tf.Tensor, ...]


class _Backward(NamedTuple):
    """Result of the backward loop, time-major; without the first axis for one step.

    All are gradients except ``factors``, the inputs that were multiplied with each kernel.
    """

    state: Nest
    inputs: Nest
    constants: tuple[tf.Tensor, ...]
    parameters: tuple[tf.Tensor, ...]
    products: tuple[tf.Tensor, ...]
    factors: tuple[tf.Tensor, ...]


def _key(parameter: Parameter) -> Any:
    return parameter if isinstance(parameter, View) else parameter.ref()


class _Tracer:
    """Records which parameters a step reads, and which kernels it multiplies with, in order."""

    def __init__(self) -> None:
        self.parameters: dict[Any, Parameter] = {}
        self.reads: dict[Any, None] = {}
        self.multiplies: list[Any] = []

    def read(self, parameter: Parameter) -> tf.Tensor:
        self.parameters[_key(parameter)] = parameter
        self.reads[_key(parameter)] = None
        return value_of(parameter)

    def multiply(self, x: tf.Tensor, kernel: Parameter) -> tf.Tensor:
        self.parameters[_key(kernel)] = kernel
        self.multiplies.append(_key(kernel))
        return product(x, value_of(kernel), "float32")


class _Recorder:
    """Multiplies, and records the products."""

    def __init__(self, values: dict[Any, tf.Tensor]):
        self.products: list[tf.Tensor] = []
        self._values = values

    def read(self, parameter: Parameter) -> tf.Tensor:
        return self._values[_key(parameter)]

    def multiply(self, x: tf.Tensor, kernel: Parameter) -> tf.Tensor:
        self.products.append(product(x, self._values[_key(kernel)], "float32"))
        return self.products[-1]


class _Replayer:
    """Returns recorded products, with the gradient of a product by x."""

    def __init__(self, values: dict[Any, tf.Tensor], products: Iterable[tf.Tensor]):
        self.factors: list[tf.Tensor] = []
        self._values, self._products = values, iter(products)

    def read(self, parameter: Parameter) -> tf.Tensor:
        return self._values[_key(parameter)]

    def multiply(self, x: tf.Tensor, kernel: Parameter) -> tf.Tensor:
        self.factors.append(x)
        value = self._values[_key(kernel)]

        @tf.custom_gradient
        def replayed(x: tf.Tensor, recorded: tf.Tensor):
            del x
            y = tf.identity(recorded)
            return y, lambda upstream: (gradient_by_x(upstream, value), upstream)

        return replayed(x, next(self._products))


class Recurrence:
    """Run a step over sequences.

    The step is a function ``(state, inputs, data, constants) -> (next state, output)`` of nested
    tuples of tensors with one row for each sequence, ``[N, ...]``. It reads parameters and
    multiplies with kernels only through ``parameters.py``, like layers, and its state is float32.
    """

    def __init__(self, step: Step):
        """Take the step; the first call compiles."""
        self._step = step
        self._used: _Tracer | None = None
        self._forward = tf.function(self._run_forward, jit_compile=True, autograph=False)
        self._backward = tf.function(self._run_backward, jit_compile=True, autograph=False)

    def __call__(self, start: Nest, inputs: Nest, data: Nest, constants: Nest) -> tuple[Nest, Nest]:
        """Run over B sequences of T steps.

        Args:
            start: State before the first step, ``[B, ...]``; without gradient.
            inputs: Inputs of each step, float32 ``[B, T, ...]``.
            data: Inputs of each step without gradient, ``[B, T, ...]``.
            constants: Inputs that are the same in every step, without rows.

        Returns:
            State after each step and output of each step, ``[B, T, ...]``. Gradients flow to
            inputs, to floating-point constants, and to all parameters that the step reads.
        """
        by_time = tf.nest.map_structure(_swap, (inputs, data))
        start = tf.nest.map_structure(tf.stop_gradient, start)
        if only_plain_operations():
            state, output = self._plain(start, by_time, constants)
            return tf.nest.map_structure(_swap, (state, output))
        used = self._used_parameters(start, by_time, constants)
        values = [value_of(parameter) for parameter in used.parameters.values()]
        state, output = self._differentiable(start, by_time, constants, values, used)
        return tf.nest.map_structure(_swap, (state, output))

    def _plain(self, start: Nest, by_time: tuple[Nest, Nest], constants: Nest) -> tuple[Nest, Nest]:
        """The plain formula, time-major."""

        def one(last: tuple[Nest, Nest], x: tuple[Nest, Nest]) -> tuple[Nest, Nest]:
            return self._step(last[0], *x, constants)

        like = one((start, ()), _at(by_time, 0))
        initial = (start, tf.nest.map_structure(tf.zeros_like, like[1]))
        return tf.scan(one, by_time, initial)

    def _used_parameters(self, start: Nest, by_time: Nest, constants: Nest) -> _Tracer:
        """Trace the step once, to find the parameters and kernels that it uses."""
        if self._used is None:
            tracer = _Tracer()

            def one_step(start: Nest, by_time: Nest, constants: Nest) -> tuple[Nest, Nest]:
                inputs, data = _at(by_time, 0)
                with accessed_by(tracer):
                    return self._step(start, inputs, data, constants)

            with tf.init_scope():
                specs = tf.nest.map_structure(
                    lambda x: tf.TensorSpec(x.shape, x.dtype), (start, by_time, constants)
                )
                tf.function(one_step, autograph=False).get_concrete_function(*specs)
            self._used = tracer
        return self._used

    def _differentiable(
        self,
        start: Nest,
        by_time: tuple[Nest, Nest],
        constants: Nest,
        values: list[tf.Tensor],
        used: _Tracer,
    ) -> tuple[Nest, Nest]:
        """Forward pass of all rows, time-major, and the backward pass as its gradient."""
        inputs, data = by_time
        reached = (inputs, _floating(constants), values)
        structure: list[Nest] = []

        @tf.custom_gradient
        def run(*flat: tf.Tensor):
            # In eager mode the tape would also record this body.
            flat = tuple(tf.stop_gradient(x) for x in flat)
            inputs, floats, values = tf.nest.pack_sequence_as(reached, flat)
            fixed = _with_floating(constants, floats)
            sizes = _group_sizes(tf.nest.flatten(data)[0].shape[1])
            groups = [
                (values, rows, *by_time, fixed)
                for rows, by_time in zip(
                    _groups(start, sizes, axis=0), _groups((inputs, data), sizes), strict=True
                )
            ]
            steps = [self._forward(*group) for group in groups]
            results = _together([(x.state, x.output) for x in steps])
            structure.append(results)

            def gradient(*upstream: tf.Tensor):
                by_result = tuple(
                    x
                    for x, result in zip(upstream, tf.nest.flatten(results), strict=True)
                    if result.dtype.is_floating
                )
                arguments = zip(groups, steps, _groups(by_result, sizes), strict=True)
                parts = [self._backward(*group, x, up) for group, x, up in arguments]
                back = _together([(x.inputs, x.products, x.factors) for x in parts])
                by_inputs, by_products, factors = back
                by_constants, by_reads = tf.nest.map_structure(
                    lambda *x: tf.add_n(x), *((x.constants, x.parameters) for x in parts)
                )
                by_key = dict(zip(used.reads, by_reads, strict=True))
                kernels = dict(zip(used.parameters, values, strict=True))
                for key, x, by_product in zip(used.multiplies, factors, by_products, strict=True):
                    # TensorFlow's own kernels are faster than XLA's for large products.
                    added = gradient_by_kernel(_by_row(x), _by_row(by_product), kernels[key])
                    by_key[key] = by_key[key] + added if key in by_key else added
                by_values = [by_key[key] for key in used.parameters]
                return tf.nest.flatten((by_inputs, by_constants, by_values))

            return tuple(tf.nest.flatten(results)), gradient

        flat = run(*tf.nest.flatten(reached))
        return tf.nest.pack_sequence_as(structure[0], flat)

    def _run_forward(
        self, values: list[tf.Tensor], start: Nest, inputs: Nest, data: Nest, constants: Nest
    ) -> _Forward:
        by_key = self._by_key(values)

        def one(state: Nest, x: tuple[Nest, Nest]) -> _Forward:
            recorder = _Recorder(by_key)
            with accessed_by(recorder):
                state, output = self._step(state, *x, constants)
            return _Forward(state, output, tuple(recorder.products))

        xs = (inputs, data)
        like = one(start, _at(xs, 0))
        initial = tf.nest.map_structure(tf.zeros_like, like)._replace(state=start)
        return tf.scan(lambda last, x: one(last.state, x), xs, initial)

    def _run_backward(
        self,
        values: list[tf.Tensor],
        start: Nest,
        inputs: Nest,
        data: Nest,
        constants: Nest,
        forward: _Forward,
        upstream: tuple[tf.Tensor, ...],
    ) -> _Backward:
        by_key = self._by_key(values)
        assert self._used is not None
        read = tuple(by_key[key] for key in self._used.reads)
        states = len(tf.nest.flatten(start))

        def one(by_next: Nest, x: tuple) -> _Backward:
            state, inputs, data, products, upstream = x
            watched = (state, inputs, tuple(_floating(constants)), read, products)
            with tf.GradientTape() as tape:
                tape.watch(tf.nest.flatten(watched))
                replayer = _Replayer(by_key, products)
                with accessed_by(replayer):
                    following, output = self._step(state, inputs, data, constants)
                results = tf.nest.flatten(following) + _floating(output)
            # The next step returns the gradient of this state's effect on later steps.
            by_state = [a + b for a, b in zip(tf.nest.flatten(by_next), upstream, strict=False)]
            by_state, by_inputs, by_constants, by_read, by_products = tape.gradient(
                results,
                watched,
                [*by_state, *upstream[states:]],
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            factors = tuple(replayer.factors)
            return _Backward(by_state, by_inputs, by_constants, by_read, by_products, factors)

        before = tf.nest.map_structure(
            lambda first, x: tf.concat([first[None], x[:-1]], 0), start, forward.state
        )
        xs = (before, inputs, data, forward.products, upstream)
        nothing = tf.nest.map_structure(tf.zeros_like, start)
        like = one(nothing, _at(xs, 0))
        initial = tf.nest.map_structure(tf.zeros_like, like)
        back = tf.scan(lambda later, x: one(later.state, x), xs, initial, reverse=True)
        constants, parameters = tf.nest.map_structure(
            lambda x: tf.reduce_sum(x, 0), (back.constants, back.parameters)
        )
        return back._replace(state=(), constants=constants, parameters=parameters)

    def _by_key(self, values: list[tf.Tensor]) -> dict[Any, tf.Tensor]:
        assert self._used is not None
        return dict(zip(self._used.parameters, values, strict=True))


def _floating(nest: Nest) -> list[tf.Tensor]:
    """The floating-point tensors, in order."""
    return [x for x in tf.nest.flatten(nest) if x.dtype.is_floating]


def _with_floating(nest: Nest, floats: Iterable[tf.Tensor]) -> Nest:
    """Replace the tensors that :func:`_floating` returns."""
    given = iter(floats)
    return tf.nest.map_structure(lambda x: next(given) if x.dtype.is_floating else x, nest)


def _at(nest: Nest, t: int) -> Nest:
    return tf.nest.map_structure(lambda x: x[t], nest)


def _swap(x: tf.Tensor) -> tf.Tensor:
    """``[B, T, ...] -> [T, B, ...]``, and back."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def _by_row(x: tf.Tensor) -> tf.Tensor:
    """``[T, B, width] -> [T * B, width]``."""
    return tf.reshape(x, [-1, x.shape[-1]])


def _group_sizes(rows: int | None) -> list[int]:
    """Rows of each group; empty, which means one group, if the number of rows is unknown."""
    if rows is None:
        return []
    return [min(ROWS_OF_A_GROUP, rows - i) for i in range(0, rows, ROWS_OF_A_GROUP)]


def _groups(nest: Nest, sizes: Sequence[int], axis: int = 1) -> list[Nest]:
    """Tensors ``[T, B, ...]`` (``[B, ...]`` for axis 0) as a list of such, of few rows each."""
    if len(sizes) < 2:
        return [nest]
    parts = [tf.split(x, sizes, axis) for x in tf.nest.flatten(nest)]
    return [tf.nest.pack_sequence_as(nest, group) for group in zip(*parts, strict=True)]


def _together(groups: Sequence[Nest]) -> Nest:
    """``[T, rows, ...]`` of each group as ``[T, B, ...]``."""
    return tf.nest.map_structure(lambda *x: tf.concat(x, 1) if len(x) > 1 else x[0], *groups)
