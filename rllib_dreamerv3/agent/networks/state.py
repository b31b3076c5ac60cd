"""The model state (h, z), and dense layers that read it."""

from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.one_hot_products import add_one_hot_product, flat_one_hot
from rllib_dreamerv3.agent.kernels.parameters import Parameter, multiply, read
from rllib_dreamerv3.agent.kernels.products import product
from rllib_dreamerv3.agent.networks.layers import (
    Initializer,
    Linear,
    Mlp,
    NormSilu,
    Rng,
    hidden_init,
)
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.table import ComputeDtype


class State(NamedTuple):
    """A model state, or a stack of them.

    z is stored as class indices. Dense one-hot vectors are present only if gradient flows through
    z: in rows for training, and in imagination through the dynamics.

    Attributes:
        h: Deterministic part, float32 ``[..., D]``.
        index: Sampled class of each categorical of z, int32 ``[..., S]``; -1 if z is zero: before
            an episode's first record in the 2025 code.
        z: The same as flat one-hot vectors, float32 ``[..., S * C]``, with the straight-through
            gradient; None where no gradient flows through z.
    """

    h: tf.Tensor
    index: tf.Tensor
    z: tf.Tensor | None = None

    @property
    def z_or_index(self) -> tf.Tensor:
        """Z for :func:`multiply_z`: dense if present, otherwise class indices."""
        return self.index if self.z is None else self.z

    def stop_gradient(self) -> "State":
        """The same state without gradient."""
        return State(tf.stop_gradient(self.h), self.index)

    def with_dense_z(self, classes: int) -> "State":
        """The same state with z as one-hot vectors, for gradients by later z."""
        return State(self.h, self.index, flat_one_hot(self.index, classes))

    def first(self, n: int | tf.Tensor) -> "State":
        """The first ``n`` states of a stack."""
        return State(*(None if x is None else x[:n] for x in self))

    def last(self, n: int | tf.Tensor) -> "State":
        """The last ``n`` states of a stack."""
        return State(*(None if x is None else x[-n:] for x in self))

    def flat(self) -> "State":
        """A stack ``[M, N, ...]`` as ``[M * N, ...]``."""
        return State(*(None if x is None else tf.reshape(x, [-1, x.shape[-1]]) for x in self))


def multiply_z(z: tf.Tensor, kernel: Parameter, dtype: ComputeDtype = "float32") -> tf.Tensor:
    """Product of z with a kernel ``[S * C, U]``.

    Args:
        z: float32 ``[N, S * C]``, or class indices int32 ``[N, S]``, for which it is a sum of
            kernel rows.
        kernel: The kernel.
        dtype: In which the product with a dense z is computed.

    Returns:
        float32 ``[N, U]``.
    """
    if z.dtype.is_floating:
        return multiply(z, kernel, dtype)
    rows = read(kernel)
    nothing = tf.zeros([tf.shape(z)[0], rows.shape[1]])
    return add_one_hot_product(nothing, z, rows, rows.shape[0] // z.shape[1])


class StateLinear(tf.Module):
    """Linear layer on concat[h, z], or concat[h, z, x]: ``State [N] -> [N, out]``."""

    def __init__(
        self,
        settings: ModelSettings,
        outputs: int,
        rng: Rng,
        init: Initializer,
        bias: bool = True,
        more: int = 0,
    ):
        """Create one kernel ``[D + S * C + more, out]``; ``more`` is the width of x."""
        super().__init__()
        dtype = settings.compute_dtype
        self.linear = Linear(settings.feature + more, outputs, rng, init, bias=bias, dtype=dtype)
        self._deterministic, self._classes = settings.deterministic, settings.classes
        self._feature, self._dtype = settings.feature, dtype

    def __call__(self, state: State, more: tf.Tensor | None = None) -> tf.Tensor:
        """``State [N]``, with x ``[N, more]`` if there is one, ``->`` float32 ``[N, out]``."""
        further = [] if more is None else [more]
        if state.z is not None:
            return self.linear(tf.concat([state.h, state.z, *further], -1))
        kernel = read(self.linear.kernel)
        y = product(state.h, kernel[: self._deterministic], self._dtype)
        y = add_one_hot_product(y, state.index, kernel, self._classes, first=self._deterministic)
        for x in further:
            y += tf.cast(product(x, kernel[self._feature :], self._dtype), tf.float32)
        return y if self.linear.bias is None else y + read(self.linear.bias)


class StateMlp(tf.Module):
    """Dense blocks on a model state: ``State [N] -> [N, U]``."""

    def __init__(self, settings: ModelSettings, units: int, layers: int, rng: Rng, more: int = 0):
        """Create the layers; ``more`` is the width of a further input."""
        super().__init__()
        style = settings.style
        init = hidden_init(style)
        self.first = StateLinear(settings, units, rng, init, bias=False, more=more)
        self.first_activation = NormSilu(units, style)
        self.rest = Mlp(units, units, layers - 1, style, rng)

    def __call__(self, state: State, more: tf.Tensor | None = None) -> tf.Tensor:
        """``State [N]``, with x ``[N, more]`` if there is one, ``-> [N, U]`` in compute dtype."""
        return self.rest(self.first_activation(self.first(state, more)))
