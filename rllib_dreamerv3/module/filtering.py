"""The recurrence of the posterior over whole rows, with a gradient written step by step.

Only this part of the world model is sequential, and with T steps on few rows it is bound by what
is done in every step. TensorFlow's own gradient of a loop adds a full-size gradient of every kernel
in every step. Here the loop backwards carries gradients of activations only; those of the kernels
are one product over all T * B records each, after the loop. Both loops are compiled by XLA, which
fuses the small operations between the products.
"""

from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.math.categorical import sample_classes, unimix_probs
from rllib_dreamerv3.module.compiled import vjp
from rllib_dreamerv3.module.latent import flat_one_hot
from rllib_dreamerv3.module.layers import layer_norm, norm_silu


class FilterWeights(NamedTuple):
    """The parameters used inside of the recurrence, as plain tensors.

    Attributes:
        initial_h: h before a first record, float32 ``[D]``.
        input: Kernel of the input layer for z, ``[S * C, U]``.
        input_scale: ``[U]``.
        input_offset: ``[U]``.
        gru: Kernel for concat[h, input], ``[D + U, 3 D]``.
        gru_scale: ``[3 D]``.
        gru_offset: ``[3 D]``.
        posterior: Kernel of the posterior's hidden layer for h, ``[D, U]``.
        posterior_scale: ``[U]``.
        posterior_offset: ``[U]``.
        output: Kernel of the posterior's logits, ``[U, S * C]``.
        output_bias: ``[S * C]``.
    """

    initial_h: tf.Tensor
    input: tf.Tensor
    input_scale: tf.Tensor
    input_offset: tf.Tensor
    gru: tf.Tensor
    gru_scale: tf.Tensor
    gru_offset: tf.Tensor
    posterior: tf.Tensor
    posterior_scale: tf.Tensor
    posterior_offset: tf.Tensor
    output: tf.Tensor
    output_bias: tf.Tensor


class FilterInputs(NamedTuple):
    """What enters the recurrence at each record, time-major.

    Attributes:
        action_product: The input layer's product with the action, float32 ``[T, B, U]``.
        token_product: The posterior's product with the tokens, float32 ``[T, B, U]``.
        is_first: bool ``[T, B]``.
        uniform: float32 ``[T, B, S]`` in [0, 1).
    """

    action_product: tf.Tensor
    token_product: tf.Tensor
    is_first: tf.Tensor
    uniform: tf.Tensor


class _Step(NamedTuple):
    """All that a step computes; the products are kept for the way back."""

    previous_h: tf.Tensor  # after resets, [B, D]
    previous_index: tf.Tensor  # after resets, [B, S]
    input: tf.Tensor  # [B, U]
    gates: tf.Tensor  # [B, 3 D]
    posterior: tf.Tensor  # [B, U]
    h: tf.Tensor  # [B, D]
    logits: tf.Tensor  # [B, S * C]
    index: tf.Tensor  # [B, S]


class _Back(NamedTuple):
    """Gradients: of the previous state, carried from step to step, and of what is kept."""

    previous_h: tf.Tensor
    previous_z: tf.Tensor
    initial_h: tf.Tensor
    input: tf.Tensor
    gates: tf.Tensor
    posterior: tf.Tensor
    logits: tf.Tensor
    input_norm: tf.Tensor  # scale and offset, [2, U]
    gru_norm: tf.Tensor  # [2, 3 D]
    posterior_norm: tf.Tensor  # [2, U]


def gru_output(h: tf.Tensor, product: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """The next h of the GRU, from the product of its kernel with concat[h, input].

    Args:
        h: float32 ``[N, D]``.
        product: float32 ``[N, 3 D]``: reset, candidate, update, before their common norm.
        scale: The norm's, ``[3 D]``.
        offset: The norm's, ``[3 D]``.

    Returns:
        ``u * tanh(r * c) + (1 - u) * h`` with ``u = sigmoid(update - 1)``, float32 ``[N, D]``.
    """
    gates = tf.reshape(layer_norm(product, scale, offset), [-1, 3, h.shape[-1]])
    reset, candidate, update = tf.unstack(gates, axis=1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    return h + tf.sigmoid(update - 1.0) * (candidate - h)


def filter_rows(
    weights: FilterWeights, inputs: FilterInputs, initial_index: tf.Tensor, mix: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Runs the posterior over rows.

    Args:
        weights: The parameters.
        inputs: Of all records; ``is_first[0]`` must be True everywhere.
        initial_index: Classes of z before a first record, int32 ``[S]``.
        mix: Share of the uniform distribution in the posterior.

    Returns:
        h float32 ``[T, B, D]``, the posterior's raw logits float32 ``[T, B, S * C]``, and the
        sampled classes int32 ``[T, B, S]``. Gradients reach the weights and both products. The
        samples pass theirs straight through to the probabilities, inside of the recurrence; for
        all other uses of them the caller does that.
    """

    @tf.custom_gradient
    def run(action_product: tf.Tensor, token_product: tf.Tensor, *flat_weights: tf.Tensor):
        # Executed eagerly, this body would be recorded for a gradient of its own.
        data = [tf.stop_gradient(x) for x in (action_product, token_product, *flat_weights)]
        w = FilterWeights(*data[2:])
        x = FilterInputs(data[0], data[1], inputs.is_first, inputs.uniform)
        steps = _forward(w, x, initial_index, mix)

        def gradient(d_h: tf.Tensor, d_logits: tf.Tensor, d_index: tf.Tensor):
            del d_index
            return _backward(w, steps, inputs.is_first, d_h, d_logits, mix)

        return (steps.h, steps.logits, steps.index), gradient

    return run(inputs.action_product, inputs.token_product, *weights)


def _class_probs(logits: tf.Tensor, categoricals: int, mix: float) -> tf.Tensor:
    """``[B, S * C] -> [B, S, C]``."""
    classes = logits.shape[-1] // categoricals
    return unimix_probs(tf.reshape(logits, [-1, categoricals, classes]), mix)


@tf.function(jit_compile=True, autograph=False)
def _forward(w: FilterWeights, inputs: FilterInputs, initial_index: tf.Tensor, mix: float) -> _Step:
    batch, s = tf.shape(inputs.is_first)[1], initial_index.shape[0]
    c = w.input.shape[0] // s

    def step(previous: _Step, x: FilterInputs) -> _Step:
        first = x.is_first[:, None]
        h = tf.where(first, w.initial_h, previous.h)
        index = tf.where(first, initial_index, previous.index)
        product = tf.matmul(flat_one_hot(index, c), w.input) + x.action_product
        hidden = norm_silu(product, w.input_scale, w.input_offset)
        gates = tf.matmul(tf.concat([h, hidden], -1), w.gru)
        next_h = gru_output(h, gates, w.gru_scale, w.gru_offset)
        posterior = tf.matmul(next_h, w.posterior) + x.token_product
        hidden = norm_silu(posterior, w.posterior_scale, w.posterior_offset)
        logits = tf.matmul(hidden, w.output) + w.output_bias
        sample = sample_classes(logits, x.uniform, mix)
        return _Step(h, index, product, gates, posterior, next_h, logits, sample)

    d, u = w.posterior.shape
    no_index = tf.zeros([batch, s], tf.int32)
    start = _Step(
        tf.zeros([batch, d]),
        no_index,
        tf.zeros([batch, u]),
        tf.zeros([batch, 3 * d]),
        tf.zeros([batch, u]),
        tf.zeros([batch, d]),
        tf.zeros([batch, s * c]),
        no_index,
    )
    return tf.scan(step, inputs, start)


@tf.function(jit_compile=True, autograph=False)
def _backward(
    w: FilterWeights,
    steps: _Step,
    is_first: tf.Tensor,
    d_h: tf.Tensor,
    d_logits: tf.Tensor,
    mix: float,
) -> tuple[tf.Tensor, ...]:
    d, s = w.posterior.shape[0], steps.index.shape[-1]
    c = w.input.shape[0] // s

    def step(later: _Back, inputs: tuple[_Step, tf.Tensor, tf.Tensor, tf.Tensor]) -> _Back:
        x, first, d_h, d_logits = inputs
        d_probs = tf.reshape(later.previous_z, [-1, s, c])
        d_logits += vjp(lambda logits: _class_probs(logits, s, mix), [x.logits], d_probs)[0]
        d_hidden = tf.matmul(d_logits, w.output, transpose_b=True)
        d_posterior, *d_posterior_norm = vjp(
            norm_silu, [x.posterior, w.posterior_scale, w.posterior_offset], d_hidden
        )
        d_h += later.previous_h + tf.matmul(d_posterior, w.posterior, transpose_b=True)
        d_previous_h, d_gates, *d_gru_norm = vjp(
            gru_output, [x.previous_h, x.gates, w.gru_scale, w.gru_offset], d_h
        )
        d_gru_input = tf.matmul(d_gates, w.gru, transpose_b=True)
        d_previous_h += d_gru_input[:, :d]
        d_input, *d_input_norm = vjp(
            norm_silu, [x.input, w.input_scale, w.input_offset], d_gru_input[:, d:]
        )
        d_previous_z = tf.matmul(d_input, w.input, transpose_b=True)
        first = first[:, None]
        return _Back(
            previous_h=tf.where(first, 0.0, d_previous_h),
            previous_z=tf.where(first, 0.0, d_previous_z),
            initial_h=tf.reduce_sum(tf.where(first, d_previous_h, 0.0), 0),
            input=d_input,
            gates=d_gates,
            posterior=d_posterior,
            logits=d_logits,
            input_norm=tf.stack(d_input_norm),
            gru_norm=tf.stack(d_gru_norm),
            posterior_norm=tf.stack(d_posterior_norm),
        )

    zeros = tf.zeros_like
    start = _Back(
        previous_h=zeros(steps.h[0]),
        previous_z=zeros(steps.logits[0]),
        initial_h=zeros(w.initial_h),
        input=zeros(steps.input[0]),
        gates=zeros(steps.gates[0]),
        posterior=zeros(steps.posterior[0]),
        logits=zeros(steps.logits[0]),
        input_norm=zeros(tf.stack([w.input_scale, w.input_offset])),
        gru_norm=zeros(tf.stack([w.gru_scale, w.gru_offset])),
        posterior_norm=zeros(tf.stack([w.posterior_scale, w.posterior_offset])),
    )
    back = tf.scan(step, (steps, is_first, d_h, d_logits), start, reverse=True)

    hidden = norm_silu(steps.input, w.input_scale, w.input_offset)
    posterior_hidden = norm_silu(steps.posterior, w.posterior_scale, w.posterior_offset)
    input_norm, gru_norm, posterior_norm = (
        tf.reduce_sum(norm, 0) for norm in (back.input_norm, back.gru_norm, back.posterior_norm)
    )
    by_weights = FilterWeights(
        initial_h=tf.reduce_sum(back.initial_h, 0),
        input=_kernel_gradient(flat_one_hot(steps.previous_index, c), back.input),
        input_scale=input_norm[0],
        input_offset=input_norm[1],
        gru=_kernel_gradient(tf.concat([steps.previous_h, hidden], -1), back.gates),
        gru_scale=gru_norm[0],
        gru_offset=gru_norm[1],
        posterior=_kernel_gradient(steps.h, back.posterior),
        posterior_scale=posterior_norm[0],
        posterior_offset=posterior_norm[1],
        output=_kernel_gradient(posterior_hidden, back.logits),
        output_bias=tf.reduce_sum(back.logits, [0, 1]),
    )
    return back.input, back.posterior, *by_weights


def _kernel_gradient(inputs: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Gradient of a kernel ``[in, out]`` from ``[T, B, in]`` and ``[T, B, out]``."""
    return tf.tensordot(inputs, upstream, [[0, 1], [0, 1]])
