"""The recurrence of the posterior over whole rows, with a gradient written step by step.

Only this part of the world model is sequential, and with T steps on few rows it is bound by what
is done in every step. TensorFlow's own gradient of a loop adds a full-size gradient of every kernel
in every step. Here the loop backwards carries gradients of activations only; those of the kernels
are one product over all T * B records each, after the loop. Both loops are compiled by XLA, which
fuses the small operations between the products.

A loop keeps one core busy, and few rows fit its cache better than many: rows are filtered in small
groups, side by side.

A step is written once, in terms of an :class:`~rllib_dreamerv3.networks.gru.Arithmetic`.
On the way forward the products are kept. On the way back the same step runs again with these
instead of multiplying once more, and notes what entered each product and the gradient of what came
out of it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from rllib_dreamerv3.kernels.block_products import gradient_by_kernel, gradient_by_x
from rllib_dreamerv3.kernels.norm_silu import norm_silu
from rllib_dreamerv3.math.categorical import sample_classes, unimix_probs
from rllib_dreamerv3.networks.gru import Arithmetic, Tensors
from rllib_dreamerv3.networks.layers import multiply
from rllib_dreamerv3.networks.state import State, flat_one_hot

SequenceStep = Callable[[Arithmetic, State, tf.Tensor], tf.Tensor]

# Rows that one loop filters. With two cores and 16 rows, half of them a core takes half the time in
# size 1M, and four fifths in XS. Not a matter of the machine: what rounding does depends on it.
ROWS_OF_A_GROUP = 8


class FilterWeights(NamedTuple):
    """The parameters used inside of the recurrence, as plain tensors.

    Attributes:
        kernels: By name: those of the sequence model, ``posterior`` (the hidden layer's part for
            h, ``[D, U]``) and ``output`` (``[U, S * C]``).
        small: By name: norms and biases; ``posterior`` is the hidden layer's norm, ``output`` has
            the ``bias`` of the logits.
        initial_h: h before a first record, ``[D]``.
    """

    kernels: Tensors
    small: dict[str, Tensors]
    initial_h: tf.Tensor


class FilterInputs(NamedTuple):
    """What enters the recurrence at each record, time-major.

    Attributes:
        action_product: The sequence model's, of the previous action, float32 ``[T, B, W]``.
        token_product: The posterior's product with the tokens, float32 ``[T, B, U]``.
        is_first: bool ``[T, B]``.
        uniform: float32 ``[T, B, S]`` in [0, 1).
    """

    action_product: tf.Tensor
    token_product: tf.Tensor
    is_first: tf.Tensor
    uniform: tf.Tensor


class _Forward(NamedTuple):
    """All that a step computes and keeps for the way back."""

    previous_h: tf.Tensor  # after resets, [B, D]
    previous_index: tf.Tensor  # after resets, [B, S]
    h: tf.Tensor  # [B, D]
    index: tf.Tensor  # [B, S]
    products: Tensors


class _Back(NamedTuple):
    """Gradients: of the previous state, carried from step to step, and of what is kept.

    Of all steps together, those of ``initial_h`` and ``small`` are summed up.
    """

    previous_h: tf.Tensor
    previous_z: tf.Tensor
    initial_h: tf.Tensor
    action_product: tf.Tensor
    token_product: tf.Tensor
    products: Tensors
    small: dict[str, Tensors]
    factors: Tensors  # not gradients: what entered each product


class _Keeping:
    """Multiplies, and keeps the products."""

    def __init__(self, weights: FilterWeights):
        self.small = weights.small
        self.products: Tensors = {}
        self._kernels = weights.kernels

    def multiply(self, name: str, x: tf.Tensor) -> tf.Tensor:
        self.products[name] = multiply(x, self._kernels[name])
        return self.products[name]

    def multiply_z(self, name: str, state: State) -> tf.Tensor:
        assert state.z is not None
        return self.multiply(name, state.z)


class _Replaying:
    """Gives back the products that were kept, with the gradients of a multiplication."""

    def __init__(self, weights: FilterWeights, products: Tensors, small: dict[str, Tensors]):
        self.small = small
        self.factors: Tensors = {}
        self._kernels, self._products = weights.kernels, products

    def multiply(self, name: str, x: tf.Tensor) -> tf.Tensor:
        self.factors[name] = x
        kernel = self._kernels[name]

        @tf.custom_gradient
        def product(x: tf.Tensor, kept: tf.Tensor):
            del x
            return tf.identity(kept), lambda upstream: (gradient_by_x(upstream, kernel), upstream)

        return product(x, self._products[name])

    def multiply_z(self, name: str, state: State) -> tf.Tensor:
        assert state.z is not None
        return self.multiply(name, state.z)


class Filter:
    """Runs a sequence model and a posterior over rows."""

    def __init__(self, step: SequenceStep, categoricals: int, classes: int, mix: float):
        """Compiles nothing yet.

        Args:
            step: Of the sequence model.
            categoricals: S.
            classes: C.
            mix: Share of the uniform distribution in the posterior.
        """
        self._sequence_step = step
        self._categoricals, self._classes, self._mix = categoricals, classes, mix
        self._forward = tf.function(self._run_forward, jit_compile=True, autograph=False)
        self._backward = tf.function(self._run_backward, jit_compile=True, autograph=False)

    def __call__(
        self, weights: FilterWeights, inputs: FilterInputs, start: State, initial_index: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Filters rows.

        Args:
            weights: The parameters.
            inputs: Of all records.
            start: State before the first record of each row, ``[B, ...]``, as data. Replaced by
                the initial state where ``is_first[0]`` is set.
            initial_index: Classes of z before a first record, int32 ``[S]``; -1 for a z of zeros.

        Returns:
            h float32 ``[T, B, D]``, the posterior's raw logits float32 ``[T, B, S * C]``, and the
            sampled classes int32 ``[T, B, S]``. Gradients reach the weights and both products of
            the inputs. The samples pass theirs straight through to the probabilities, inside of
            the recurrence; for all other uses of them the caller does that.
        """
        flat_weights = tf.nest.flatten(weights)

        @tf.custom_gradient
        def run(action_product: tf.Tensor, token_product: tf.Tensor, *flat_weights: tf.Tensor):
            # Executed eagerly, this body would be recorded for a gradient of its own.
            data = [tf.stop_gradient(x) for x in (action_product, token_product, *flat_weights)]
            w = tf.nest.pack_sequence_as(weights, data[2:])
            x = FilterInputs(data[0], data[1], inputs.is_first, inputs.uniform)
            sizes, before = _group_sizes(x.is_first.shape[1]), start.stop_gradient()
            groups = _groups(x, sizes)
            starts = _groups((before.h, before.index), sizes, axis=0)
            steps = [
                self._forward(w, group, *state, initial_index)
                for group, state in zip(groups, starts, strict=True)
            ]

            def gradient(d_h: tf.Tensor, d_logits: tf.Tensor, d_index: tf.Tensor):
                del d_index
                arguments = zip(groups, steps, _groups((d_h, d_logits), sizes), strict=True)
                back = _all_rows_back([self._backward(w, x, s, *d) for x, s, d in arguments])
                # Large products, which TensorFlow's own kernels do faster than XLA's.
                by_kernels = {
                    name: gradient_by_kernel(
                        _by_record(back.factors[name]), _by_record(back.products[name]), kernel
                    )
                    for name, kernel in w.kernels.items()
                }
                by_weights = FilterWeights(by_kernels, back.small, back.initial_h)
                return back.action_product, back.token_product, *tf.nest.flatten(by_weights)

            h, logits, index = _all_rows([(s.h, s.products["output"], s.index) for s in steps])
            return (h, logits + w.small["output"]["bias"], index), gradient

        return run(inputs.action_product, inputs.token_product, *flat_weights)

    def step(
        self,
        arithmetic: Arithmetic,
        state: State,
        action_product: tf.Tensor,
        token_product: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One record: the next h ``[B, D]`` and the posterior's logits ``[B, S * C]``."""
        h = self._sequence_step(arithmetic, state, action_product)
        hidden = arithmetic.multiply("posterior", h) + token_product
        hidden = norm_silu(hidden, **arithmetic.small["posterior"])
        logits = arithmetic.multiply("output", hidden)
        return h, logits + arithmetic.small["output"]["bias"]

    def _probs(self, logits: tf.Tensor) -> tf.Tensor:
        """Unimixed probabilities, ``[B, S * C] -> [B, S * C]``."""
        by_class = tf.reshape(logits, [-1, self._categoricals, self._classes])
        return tf.reshape(unimix_probs(by_class, self._mix), tf.shape(logits))

    def _run_forward(
        self,
        w: FilterWeights,
        inputs: FilterInputs,
        start_h: tf.Tensor,
        start_index: tf.Tensor,
        initial_index: tf.Tensor,
    ) -> _Forward:
        def one(h: tf.Tensor, index: tf.Tensor, x: FilterInputs) -> _Forward:
            first = x.is_first[:, None]
            h = tf.where(first, w.initial_h, h)
            index = tf.where(first, initial_index, index)
            state = State(h, index, flat_one_hot(index, self._classes))
            arithmetic = _Keeping(w)
            next_h, logits = self.step(arithmetic, state, x.action_product, x.token_product)
            sample = sample_classes(logits, x.uniform, self._mix)
            return _Forward(h, index, next_h, sample, arithmetic.products)

        first_inputs = tf.nest.map_structure(lambda x: x[0], inputs)
        like = one(start_h, start_index, first_inputs)
        start = tf.nest.map_structure(tf.zeros_like, like)._replace(h=start_h, index=start_index)
        return tf.scan(lambda last, x: one(last.h, last.index, x), inputs, start)

    def _run_backward(
        self,
        w: FilterWeights,
        inputs: FilterInputs,
        steps: _Forward,
        d_h: tf.Tensor,
        d_logits: tf.Tensor,
    ) -> _Back:
        def one(
            d_next_h: tf.Tensor,
            d_next_z: tf.Tensor,
            x: tuple[_Forward, FilterInputs, tf.Tensor, tf.Tensor],
        ) -> _Back:
            step, inputs, d_h, d_logits = x
            z = flat_one_hot(step.previous_index, self._classes)
            watched = (
                step.previous_h,
                z,
                inputs.action_product,
                inputs.token_product,
                step.products,
                w.small,
            )
            with tf.GradientTape() as tape:
                tape.watch(watched)
                state = State(step.previous_h, step.previous_index, z)
                arithmetic = _Replaying(w, step.products, w.small)
                h, logits = self.step(
                    arithmetic, state, inputs.action_product, inputs.token_product
                )
                outputs = [h, logits, self._probs(logits)]
            gradients = tape.gradient(outputs, watched, [d_h + d_next_h, d_logits, d_next_z])
            by_h, by_z, by_action, by_token, by_products, by_small = gradients
            first = inputs.is_first[:, None]
            return _Back(
                previous_h=tf.where(first, 0.0, by_h),
                previous_z=tf.where(first, 0.0, by_z),
                initial_h=tf.reduce_sum(tf.where(first, by_h, 0.0), 0),
                action_product=by_action,
                token_product=by_token,
                products=by_products,
                small=by_small,
                factors=arithmetic.factors,
            )

        xs = (steps, inputs, d_h, d_logits)
        last = tf.nest.map_structure(lambda x: x[0], xs)
        no_h, no_z = tf.zeros_like(d_h[0]), tf.zeros_like(d_logits[0])
        start = tf.nest.map_structure(tf.zeros_like, one(no_h, no_z, last))
        back = tf.scan(
            lambda later, x: one(later.previous_h, later.previous_z, x), xs, start, reverse=True
        )
        return back._replace(
            initial_h=tf.reduce_sum(back.initial_h, 0),
            small=tf.nest.map_structure(lambda x: tf.reduce_sum(x, 0), back.small),
        )


def _group_sizes(rows: int | None) -> list[int]:
    """Rows of each group; empty, which stands for a single one, if their number is not known."""
    if rows is None:
        return []
    return [min(ROWS_OF_A_GROUP, rows - i) for i in range(0, rows, ROWS_OF_A_GROUP)]


def _groups(structure: Any, sizes: Sequence[int], axis: int = 1) -> list[Any]:
    """Tensors ``[T, B, ...]`` (``[B, ...]`` for axis 0) as a list of such, of few rows each."""
    if len(sizes) < 2:
        return [structure]
    parts = [tf.split(x, sizes, axis) for x in tf.nest.flatten(structure)]
    return [tf.nest.pack_sequence_as(structure, group) for group in zip(*parts, strict=True)]


def _all_rows(groups: Sequence[Any]) -> Any:
    """Puts ``[T, rows, ...]`` of each group together."""
    return tf.nest.map_structure(lambda *x: tf.concat(x, 1) if len(x) > 1 else x[0], *groups)


def _all_rows_back(groups: Sequence[_Back]) -> _Back:
    """The same for gradients, of which those of ``initial_h`` and ``small`` are added up."""
    together = _all_rows([g._replace(initial_h=(), small={}) for g in groups])
    summed = ((g.initial_h, g.small) for g in groups)
    initial_h, small = tf.nest.map_structure(lambda *x: tf.add_n(x), *summed)
    return together._replace(initial_h=initial_h, small=small)


def _by_record(x: tf.Tensor) -> tf.Tensor:
    """``[T, B, width] -> [T * B, width]``."""
    return tf.reshape(x, [-1, x.shape[-1]])
