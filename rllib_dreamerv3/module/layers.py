"""Dense, convolutional and normalisation layers as DreamerV3 initialises and combines them.

A layer that a norm follows has no bias, one without has (2023 code). All parameters are float32.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.module.compiled import compiled
from rllib_dreamerv3.module.initializers import truncated_normal_fan_avg, uniform_fan_avg

LAYER_NORM_EPSILON = 1e-3

Rng = np.random.Generator
Initializer = Callable[[tuple[int, ...], Rng], np.ndarray]


def hidden_init(shape: tuple[int, ...], rng: Rng) -> np.ndarray:
    """Truncated normal by average fan, for every layer that a norm follows (2023 code)."""
    return truncated_normal_fan_avg(shape, rng)


def output_init(shape: tuple[int, ...], rng: Rng) -> np.ndarray:
    """Uniform by average fan, for layers that end a network (2023 code)."""
    return uniform_fan_avg(shape, 1.0, rng)


def zero_init(shape: tuple[int, ...], rng: Rng) -> np.ndarray:
    """Zeros, for reward and critic outputs, which start at 0 (arXiv 2301.04104v1, app. C)."""
    del rng
    return np.zeros(shape, np.float32)


class Linear(tf.Module):
    """``x [..., in] -> [..., out]``, with or without bias."""

    def __init__(self, inputs: int, outputs: int, rng: Rng, init: Initializer, bias: bool = True):
        """Creates the kernel ``[in, out]`` and the bias ``[out]`` (zeros)."""
        super().__init__()
        self.kernel = tf.Variable(init((inputs, outputs), rng), name="kernel")
        self.bias = tf.Variable(tf.zeros([outputs]), name="bias") if bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Applies the layer to the last axis."""
        y = (
            tf.linalg.matmul(x, self.kernel)
            if x.shape.rank == 2
            else tf.tensordot(x, self.kernel, 1)
        )
        return y if self.bias is None else y + self.bias


class NormSilu(tf.Module):
    """Layer norm over the last axis, then SiLU."""

    def __init__(self, size: int):
        """Creates scale (ones) and offset (zeros), both ``[size]``."""
        super().__init__()
        self.norm = LayerNorm(size)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Normalises and activates."""
        return norm_silu(x, self.norm.scale, self.norm.offset)


class LayerNorm(tf.Module):
    """Layer norm over the last axis only: biased variance, epsilon 1e-3 (2023 code)."""

    def __init__(self, size: int):
        """Creates scale (ones) and offset (zeros), both ``[size]``."""
        super().__init__()
        self.scale = tf.Variable(tf.ones([size]), name="scale")
        self.offset = tf.Variable(tf.zeros([size]), name="offset")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Normalises."""
        return layer_norm(x, self.scale, self.offset)


def layer_norm(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Layer norm of ``x [..., size]`` with parameters ``[size]``."""
    centred = x - _mean(x)
    return centred * (_inverse_deviation(centred) * scale) + offset


def norm_silu(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Layer norm of ``x [..., size]`` with parameters ``[size]``, then SiLU.

    One after the other and with TensorFlow's gradient these are a dozen passes through memory each
    way, which takes longer than the product before them. XLA makes two or three of them.
    """
    x, scale, offset = (tf.convert_to_tensor(v, tf.float32) for v in (x, scale, offset))
    y = _compiled_norm_silu(tf.reshape(x, [-1, x.shape[-1]]), scale, offset)
    return y if x.shape.rank == 2 else tf.reshape(y, tf.shape(x))


def _norm_silu(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    return tf.nn.silu(layer_norm(x, scale, offset))


def _norm_silu_gradient(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    centred = x - _mean(x)
    inverse_deviation = _inverse_deviation(centred)
    normalised = centred * inverse_deviation
    y = normalised * scale + offset
    gate = tf.sigmoid(y)
    by_y = upstream * gate * (1.0 + y * (1.0 - gate))
    by_normalised = by_y * scale
    by_x = inverse_deviation * (
        by_normalised - _mean(by_normalised) - normalised * _mean(by_normalised * normalised)
    )
    return by_x, tf.reduce_sum(by_y * normalised, 0), tf.reduce_sum(by_y, 0)


_compiled_norm_silu = compiled(_norm_silu, _norm_silu_gradient)


def _inverse_deviation(centred: tf.Tensor) -> tf.Tensor:
    return tf.math.rsqrt(_mean(tf.square(centred)) + LAYER_NORM_EPSILON)


def _mean(x: tf.Tensor) -> tf.Tensor:
    """Mean over the last axis, which is kept: ``[..., size] -> [..., 1]``.

    As a product, because XLA adds the numbers of a row one at a time.
    """
    size = x.shape[-1]
    return tf.tensordot(x, tf.fill([size, 1], 1.0 / size), 1)


class DenseBlock(tf.Module):
    """Linear without bias, layer norm, SiLU: ``[..., in] -> [..., U]``."""

    def __init__(self, inputs: int, units: int, rng: Rng):
        """Creates the layer."""
        super().__init__()
        self.linear = Linear(inputs, units, rng, hidden_init, bias=False)
        self.activation = NormSilu(units)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Applies the block."""
        return self.activation(self.linear(x))


class Mlp(tf.Module):
    """``layers`` dense blocks in a row: ``[..., in] -> [..., U]``."""

    def __init__(self, inputs: int, units: int, layers: int, rng: Rng):
        """Creates the layers."""
        super().__init__()
        self.blocks = [DenseBlock(units if i else inputs, units, rng) for i in range(layers)]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Applies the blocks."""
        for block in self.blocks:
            x = block(x)
        return x


class ConvDown(tf.Module):
    """4x4 convolution of stride 2: ``[n, h, w, in] -> [n, h/2, w/2, out]``, then norm and SiLU."""

    def __init__(self, inputs: int, outputs: int, rng: Rng):
        """Creates the kernel ``[4, 4, in, out]``."""
        super().__init__()
        self.kernel = tf.Variable(hidden_init((4, 4, inputs, outputs), rng), name="kernel")
        self.activation = NormSilu(outputs)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Applies the block."""
        return self.activation(tf.nn.conv2d(x, self.kernel, strides=2, padding="SAME"))


class ConvUp(tf.Module):
    """4x4 transposed convolution of stride 2: ``[n, h, w, in] -> [n, 2h, 2w, out]``."""

    def __init__(self, inputs: int, outputs: int, rng: Rng, *, last: bool = False):
        """Creates the kernel ``[4, 4, out, in]``; ``last`` replaces norm and SiLU by a bias."""
        super().__init__()
        init = output_init if last else hidden_init
        self.kernel = tf.Variable(init((4, 4, outputs, inputs), rng), name="kernel")
        self.bias = tf.Variable(tf.zeros([outputs]), name="bias") if last else None
        self.activation = None if last else NormSilu(outputs)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Applies the block."""
        n, height, width = tf.shape(x)[0], x.shape[1], x.shape[2]
        shape = [n, 2 * height, 2 * width, self.kernel.shape[2]]
        y = tf.nn.conv2d_transpose(x, self.kernel, shape, strides=2, padding="SAME")
        return y + self.bias if self.activation is None else self.activation(y)
