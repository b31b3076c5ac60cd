"""The two CNNs: strided 4x4 convolutions (2023 code), pooled 5x5 ones (2025 code)."""

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.norm_silu import norm_silu
from rllib_dreamerv3.agent.kernels.strided_convolution import (
    activate_and_convolve_down,
    convolve_down,
    convolve_up,
    convolve_up_to_pixels,
)
from rllib_dreamerv3.agent.kernels.upsampled_convolution import convolve_upsampled
from rllib_dreamerv3.agent.networks.gru import BLOCKS
from rllib_dreamerv3.agent.networks.layers import (
    Initializer,
    Linear,
    NormSilu,
    Rng,
    hidden_init,
    output_init,
)
from rllib_dreamerv3.agent.networks.state import State, StateLinear, multiply_z
from rllib_dreamerv3.options.model_sizes import LayerStyle, ModelSettings
from rllib_dreamerv3.options.table import ComputeDtype

# The strided CNN halves its input until this many pixels a side are left.
STRIDED_SMALLEST_SIDE = 4
# Channels of the pooled CNN's stages, in units of the CNN depth.
POOLED_DEPTHS = (2, 3, 4, 4)


def convolve(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """``[n, h, w, in] x [k, k, in, out] -> [n, h, w, out]``, in ``dtype``."""
    return tf.nn.conv2d(tf.cast(x, dtype), tf.cast(kernel, dtype), 1, "SAME")


class _Stage(tf.Module):
    """A convolution with norm and SiLU after it."""

    kernel_side: int
    transposed = False

    def __init__(self, inputs: int, outputs: int, style: LayerStyle, rng: Rng):
        """Create the kernel ``[k, k, in, out]``, of a transposed one ``[k, k, out, in]``."""
        super().__init__()
        self.kernel = _kernel(self, inputs, outputs, hidden_init(style), rng)
        self.activation = NormSilu(outputs, style)
        self._dtype = style.compute_dtype


class _Output(tf.Module):
    """The decoder's last convolution, with a bias after it."""

    kernel_side: int
    transposed = False

    def __init__(self, inputs: int, outputs: int, style: LayerStyle, rng: Rng):
        """Create the kernel as a stage has it, and the bias ``[out]`` (zeros)."""
        super().__init__()
        self.kernel = _kernel(self, inputs, outputs, output_init(style), rng)
        self.bias = tf.Variable(tf.zeros([outputs]), name="bias")
        self._dtype = style.compute_dtype


def _kernel(
    layer: _Stage | _Output, inputs: int, outputs: int, init: Initializer, rng: Rng
) -> tf.Variable:
    channels = (outputs, inputs) if layer.transposed else (inputs, outputs)
    return tf.Variable(init((layer.kernel_side, layer.kernel_side, *channels), rng), name="kernel")


class StridedDown(_Stage):
    """Convolution 4x4 of stride 2, norm, SiLU: ``[n, h, w, in] -> [n, h / 2, w / 2, out]``."""

    kernel_side = 4

    def convolve(self, x: tf.Tensor, activation: NormSilu | None = None) -> tf.Tensor:
        """The convolution alone, for stages in a row.

        Args:
            x: ``[n, h, w, in]``.
            activation: Norm and SiLU of the previous stage, if x is what its convolution gave; done
                here, so that the backward pass can recompute them.

        Returns:
            ``[n, h / 2, w / 2, out]``, before norm and SiLU.
        """
        if activation is None:
            return convolve_down(x, self.kernel, self._dtype)
        return activate_and_convolve_down(x, activation.parameters(), self.kernel, self._dtype)


class StridedUp(_Stage):
    """Transposed convolution 4x4 of stride 2, norm, SiLU: ``[n, h, w, in] -> [n, 2h, 2w, out]``."""

    kernel_side = 4
    transposed = True

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[n, h, w, in] -> [n, 2h, 2w, out]``."""
        return self.activation(convolve_up(x, self.kernel, self._dtype))


class StridedOutput(_Output):
    """The strided decoder's last stage: transposed convolution and bias, plus 0.5 (2023 code)."""

    kernel_side = 4
    transposed = True

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[n, h, w, in] ->`` float32 ``[n, 2h, 2w, out]``."""
        return convolve_up_to_pixels(x, self.kernel, self.bias + 0.5, self._dtype)


class PooledDown(_Stage):
    """Convolution 5x5, 2x2 max-pool, norm, SiLU: ``[n, h, w, in] -> [n, h / 2, w / 2, out]``."""

    kernel_side = 5

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[n, h, w, in] -> [n, h / 2, w / 2, out]``."""
        return self.activation(self.convolve(x))

    def convolve(self, x: tf.Tensor, activation: NormSilu | None = None) -> tf.Tensor:
        """Convolution and pooling alone; see :meth:`StridedDown.convolve`."""
        # The norm's bias is added after pooling, which equals one before it.
        y = convolve(x if activation is None else activation(x), self.kernel, self._dtype)
        return tf.nn.max_pool2d(y, 2, 2, "VALID")


class PooledUp(_Stage):
    """Upsampling by 2, convolution 5x5, norm, SiLU: ``[n, h, w, in] -> [n, 2h, 2w, out]``."""

    kernel_side = 5

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[n, h, w, in] -> [n, 2h, 2w, out]``."""
        return self.activation(convolve_upsampled(x, self.kernel, self._dtype))


class PooledOutput(_Output):
    """The pooled decoder's last stage: upsampling, convolution 5x5, bias, sigmoid (2025 code)."""

    kernel_side = 5

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[n, h, w, in] ->`` float32 ``[n, 2h, 2w, out]``."""
        y = convolve_upsampled(x, self.kernel, self._dtype)
        return tf.sigmoid(tf.cast(y, tf.float32) + self.bias)


class BlockStem(tf.Module):
    """Make the pooled decoder's smallest image of a model state (2025 code).

    ``SiLU(norm(A + B))`` with A a block-diagonal layer on h, whose blocks become groups of
    channels, and B a layer on ``SiLU(norm(W z))``, both ``[side, side, depth]``.
    """

    def __init__(self, settings: ModelSettings, side: int, depth: int, rng: Rng):
        """Create the layers: depth divisible by the number of blocks."""
        super().__init__()
        style, self._side, self._depth = settings.style, side, depth
        init, dtype, units = hidden_init(style), style.compute_dtype, settings.units
        bias, size = style.hidden_bias, side * side * depth
        self.from_h = Linear(
            settings.deterministic, size, rng, init, bias=bias, blocks=BLOCKS, dtype=dtype
        )
        self.z_hidden = Linear(settings.stochastic, 2 * units, rng, init, bias=False, dtype=dtype)
        self.z_activation = NormSilu(2 * units, style)
        self.from_z = Linear(2 * units, size, rng, init, bias=bias, dtype=dtype)
        # The norm of A + B has no bias: both layers have one.
        self.scale = tf.Variable(tf.ones([depth]), name="scale")
        self.offset = (
            tf.Variable(tf.zeros([depth]), name="offset") if style.norm == "layer" else None
        )

    def __call__(self, state: State) -> tf.Tensor:
        """``State [N] -> [N, side, side, depth]``."""
        side, depth = self._side, self._depth
        blocks = tf.reshape(self.from_h(state.h), [-1, BLOCKS, side, side, depth // BLOCKS])
        a = tf.reshape(tf.transpose(blocks, [0, 2, 3, 1, 4]), [-1, side, side, depth])
        hidden = self.z_activation(multiply_z(state.z_or_index, self.z_hidden.kernel))
        b = tf.reshape(self.from_z(hidden), [-1, side, side, depth])
        parameters = [tf.convert_to_tensor(v) for v in (self.scale, self.offset) if v is not None]
        return norm_silu(a + b, *parameters)


class DenseStem(tf.Module):
    """Make the strided decoder's smallest image of a model state: one linear layer (2023 code)."""

    def __init__(self, settings: ModelSettings, side: int, depth: int, rng: Rng):
        super().__init__()
        self._side, self._depth = side, depth
        init = output_init(settings.style)
        self.linear = StateLinear(settings, side * side * depth, rng, init)

    def __call__(self, state: State) -> tf.Tensor:
        """``State [N] -> [N, side, side, depth]``."""
        return tf.reshape(self.linear(state), [-1, self._side, self._side, self._depth])


def strided_stages(side: int) -> int:
    """Number of stages of the strided CNN for images of this many pixels a side."""
    return (side // STRIDED_SMALLEST_SIDE).bit_length() - 1


class ImageEncoder(tf.Module):
    """CNN: ``[n, side, side, channels] -> [n, E]``."""

    def __init__(self, settings: ModelSettings, side: int, channels: int, rng: Rng):
        super().__init__()
        if settings.cnn == "strided":
            kind: type[StridedDown] | type[PooledDown] = StridedDown
            depths = tuple(2**stage for stage in range(strided_stages(side)))
        else:
            kind, depths = PooledDown, POOLED_DEPTHS
        self.stages = []
        for depth in depths:
            outputs = settings.cnn_depth * depth
            self.stages.append(kind(channels, outputs, settings.style, rng))
            channels = outputs
        self.width = (side >> len(depths)) ** 2 * channels

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[n, side, side, channels]``, nominally in [-0.5, 0.5], ``-> [n, E]``."""
        activation = None
        for stage in self.stages:
            x = stage.convolve(x, activation)
            activation = stage.activation
        return tf.reshape(x if activation is None else activation(x), [-1, self.width])


class ImageDecoder(tf.Module):
    """CNN from the smallest image, which the stem makes of model states, up to full size.

    Attributes:
        stem: ``State [N] -> [N, s, s, depth]``.
    """

    def __init__(self, settings: ModelSettings, side: int, channels: int, rng: Rng):
        super().__init__()
        style = settings.style
        if settings.cnn == "strided":
            kind: type[StridedUp] | type[PooledUp] = StridedUp
            depths = [2**stage for stage in reversed(range(strided_stages(side)))]
            stem: type[DenseStem] | type[BlockStem] = DenseStem
            output: type[StridedOutput] | type[PooledOutput] = StridedOutput
        else:
            kind, depths, stem = PooledUp, list(reversed(POOLED_DEPTHS)), BlockStem
            output = PooledOutput
        depth = settings.cnn_depth * depths[0]
        self.stem = stem(settings, side >> len(depths), depth, rng)
        self.stages: list[StridedUp | StridedOutput | PooledUp | PooledOutput] = []
        for next_depth in depths[1:]:
            outputs = settings.cnn_depth * next_depth
            self.stages.append(kind(depth, outputs, style, rng))
            depth = outputs
        self.stages.append(output(depth, channels, style, rng))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """``[N, s, s, depth] -> [N, side, side, channels]``, nominally in [0, 1]."""
        for stage in self.stages:
            x = stage(x)
        return x
