"""Dense, convolutional and normalisation layers as DreamerV3 initialises and combines them.

All parameters are float32. A layer that a norm follows has its bias, if any, in the module of the
norm: they are applied in one pass through memory.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.norm_silu import norm_silu
from rllib_dreamerv3.agent.kernels.parameters import multiply, read
from rllib_dreamerv3.agent.kernels.products import product
from rllib_dreamerv3.agent.networks.initializers import (
    truncated_normal_fan_avg,
    truncated_normal_fan_in,
    uniform_fan_avg,
)
from rllib_dreamerv3.options.model_sizes import LayerStyle
from rllib_dreamerv3.options.table import ComputeDtype

Rng = np.random.Generator
Initializer = Callable[[tuple[int, ...], Rng], np.ndarray]


def hidden_init(style: LayerStyle) -> Initializer:
    """For every layer that a norm follows: truncated normal by average fan or by inputs."""
    if style.weight_init == "fan_in":
        return output_init(style)
    return truncated_normal_fan_avg


def output_init(style: LayerStyle, scale: float = 1.0) -> Initializer:
    """For layers that end a network; a scale of 0 gives zeros.

    The scale multiplies the variance of the uniform distribution of the 2023 code, but the weights
    themselves in the 2025 code.
    """
    if style.weight_init == "fan_in":
        return lambda shape, rng: truncated_normal_fan_in(shape, scale, rng)
    return lambda shape, rng: uniform_fan_avg(shape, scale, rng)


class Linear(tf.Module):
    """``x [..., in] -> [..., out]``, with or without bias, dense or in blocks."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rng: Rng,
        init: Initializer,
        *,
        bias: bool = True,
        blocks: int = 0,
        dtype: ComputeDtype = "float32",
    ):
        """Create the kernel ``[in, out]`` and the bias ``[out]`` (zeros).

        Args:
            inputs: Width of x.
            outputs: Width of the result.
            rng: Source of the initial weights.
            init: Their distribution.
            bias: Whether there is a bias.
            blocks: Number of blocks of a block kernel ``[blocks, in / blocks, out / blocks]``,
                both widths divisible by it; 0 for a dense one.
            dtype: In which the product is computed.
        """
        super().__init__()
        shape = (blocks, inputs // blocks, outputs // blocks) if blocks else (inputs, outputs)
        self.kernel = tf.Variable(init(shape, rng), name="kernel")
        self.bias = tf.Variable(tf.zeros([outputs]), name="bias") if bias else None
        self._dtype: ComputeDtype = dtype

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[..., in] ->`` float32 ``[..., out]``."""
        y = multiply(x, self.kernel, self._dtype)
        return y if self.bias is None else y + read(self.bias)


class NormSilu(tf.Module):
    """The layer's bias, a norm over the last axis, then SiLU; the result in the compute dtype."""

    def __init__(self, size: int, style: LayerStyle):
        """Create scale (ones) and, where the style has them, offset and bias (zeros)."""
        super().__init__()
        self._dtype = style.compute_dtype
        self.scale = tf.Variable(tf.ones([size]), name="scale")
        self.offset = (
            tf.Variable(tf.zeros([size]), name="offset") if style.norm == "layer" else None
        )
        self.bias = tf.Variable(tf.zeros([size]), name="bias") if style.hidden_bias else None

    def parameters(self) -> dict[str, tf.Tensor]:
        """The parameters there are, as :func:`norm_silu` takes them."""
        named = {"scale": self.scale, "offset": self.offset, "bias": self.bias}
        return {name: read(v) for name, v in named.items() if v is not None}

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[..., size] -> [..., size]``, in the compute dtype."""
        return norm_silu(x, **self.parameters(), dtype=self._dtype)


class DenseBlock(tf.Module):
    """Linear, norm, SiLU: ``[..., in] -> [..., U]``."""

    def __init__(self, inputs: int, units: int, style: LayerStyle, rng: Rng):
        """Create the layer."""
        super().__init__()
        self._dtype = style.compute_dtype
        self.linear = Linear(inputs, units, rng, hidden_init(style), bias=False)
        self.activation = NormSilu(units, style)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[..., in] -> [..., U]``, in the compute dtype."""
        # Not by the layer itself: its result would be cast to float32 before the norm.
        return self.activation(product(x, read(self.linear.kernel), self._dtype))


class Mlp(tf.Module):
    """``layers`` dense blocks in a row: ``[..., in] -> [..., U]``."""

    def __init__(self, inputs: int, units: int, layers: int, style: LayerStyle, rng: Rng):
        """Create the layers."""
        super().__init__()
        self.blocks = [DenseBlock(units if i else inputs, units, style, rng) for i in range(layers)]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[..., in] -> [..., U]``, in the compute dtype."""
        for block in self.blocks:
            x = block(x)
        return x
