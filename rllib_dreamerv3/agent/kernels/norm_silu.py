"""Bias, layer norm or root-mean-square norm, and SiLU, fused.

The plain formula is `plain_norm_silu`. As separate operations, it takes a dozen passes through
memory in the forward pass and as many in the backward pass, longer than the matrix product before
it. Here each is one function compiled by XLA, with a manual gradient: mean and deviation of each
row are kept for it, because recomputing them would read x twice more.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import compiled_keeping, only_plain_operations
from rllib_dreamerv3.options.table import ComputeDtype

LAYER_NORM_EPSILON = 1e-3
RMS_NORM_EPSILON = 1e-4


def layer_norm(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Layer norm over the last axis: biased variance, epsilon 1e-3 (2023 code).

    Args:
        x: float32 ``[..., size]``.
        scale: ``[size]``.
        offset: ``[size]``.

    Returns:
        float32 ``[..., size]``.
    """
    centred = x - _mean(x)
    return centred * (_inverse_root(centred, LAYER_NORM_EPSILON) * scale) + offset


def rms_norm(x: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Division by the root mean square over the last axis, epsilon 1e-4 (2025 code).

    Args:
        x: float32 ``[..., size]``.
        scale: ``[size]``.

    Returns:
        float32 ``[..., size]``.
    """
    return x * (_inverse_root(x, RMS_NORM_EPSILON) * scale)


def plain_norm_silu(
    x: tf.Tensor,
    scale: tf.Tensor,
    offset: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
) -> tf.Tensor:
    """See `norm_silu`; x and the result are float32."""
    if bias is not None:
        x += bias
    return tf.nn.silu(rms_norm(x, scale) if offset is None else layer_norm(x, scale, offset))


def norm_silu(
    x: tf.Tensor,
    scale: tf.Tensor,
    offset: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
    *,
    dtype: ComputeDtype = "float32",
) -> tf.Tensor:
    """Add a bias, normalise, and apply SiLU; compute in float32.

    Args:
        x: float32 or bfloat16 ``[..., size]``.
        scale: The norm's, ``[size]``.
        offset: The norm's, ``[size]``: layer norm. None: root-mean-square norm.
        bias: ``[size]``, added before the norm, or None.
        dtype: Of the result.

    Returns:
        ``[..., size]``.
    """
    function = _compiled(offset is not None, bias is not None, dtype)
    parameters = [p for p in (scale, offset, bias) if p is not None]
    if x.shape.rank == 2:
        return function(x, *parameters)
    rows = function(tf.reshape(x, [-1, x.shape[-1]]), *parameters)
    return tf.reshape(rows, tf.shape(x))


@functools.cache
def _compiled(has_offset: bool, has_bias: bool, dtype: ComputeDtype) -> Callable[..., tf.Tensor]:
    epsilon = LAYER_NORM_EPSILON if has_offset else RMS_NORM_EPSILON

    def forward(x: tf.Tensor, scale: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = tf.cast(x, tf.float32)
        if has_bias:
            x += rest[-1]
        kept = []
        if has_offset:
            kept.append(_mean(x))
            x -= kept[0]
        kept.append(_inverse_root(x, epsilon))
        y = x * (kept[-1] * scale) + (rest[0] if has_offset else 0.0)
        return tf.cast(tf.nn.silu(y), dtype), *kept

    def gradient(x: tf.Tensor, scale: tf.Tensor, *inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        *rest, inverse, upstream = inputs
        mean = rest.pop() if has_offset else 0.0
        input_dtype = x.dtype
        x, upstream = tf.cast(x, tf.float32), tf.cast(upstream, tf.float32)
        if has_bias:
            x += rest[-1]
        normalised = (x - mean) * inverse
        y = normalised * scale + (rest[0] if has_offset else 0.0)
        gate = tf.sigmoid(y)
        by_y = upstream * gate * (1.0 + y * (1.0 - gate))
        by_scale = by_y * normalised
        by_x = by_y * scale - normalised * _mean(by_scale * scale)
        if has_offset:
            by_x -= _mean(by_y * scale)
        by_x *= inverse
        results = [tf.cast(by_x, input_dtype), tf.reduce_sum(by_scale, 0)]
        if has_offset:
            results.append(tf.reduce_sum(by_y, 0))
        if has_bias:
            results.append(tf.reduce_sum(by_x, 0))
        return tuple(results)

    return compiled_keeping(forward, gradient)


def _inverse_root(x: tf.Tensor, epsilon: float) -> tf.Tensor:
    """``1 / sqrt(mean(x^2) + epsilon)`` over the last axis: ``[..., size] -> [..., 1]``."""
    return tf.math.rsqrt(_mean(tf.square(x)) + epsilon)


def _mean(x: tf.Tensor) -> tf.Tensor:
    """Mean over the last axis, which is kept: ``[..., size] -> [..., 1]``.

    As a product, because XLA sums a row sequentially.
    """
    if only_plain_operations():
        return tf.reduce_mean(x, -1, keepdims=True)
    size = x.shape[-1]
    return tf.tensordot(x, tf.fill([size, 1], 1.0 / size), 1)
