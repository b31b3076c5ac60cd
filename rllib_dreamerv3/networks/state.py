"""The model state (h, z), and dense layers that read it.

z is S one-hot vectors. Where no gradient flows through z (imagination with REINFORCE, acting) a
dense layer on it is a sum of S rows of its kernel, picked by the class indices; that is several
times cheaper than the product with a vector of zeros and ones, and needs no dense z in memory.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.kernels.compiled import compiled
from rllib_dreamerv3.networks.layers import (
    Initializer,
    Linear,
    Mlp,
    NormSilu,
    Rng,
    hidden_init,
    multiply,
    product,
)
from rllib_dreamerv3.options.model_sizes import ComputeDtype, ModelSettings


class State(NamedTuple):
    """A model state, or a stack of them.

    Attributes:
        h: Deterministic part, float32 ``[..., D]``.
        index: Sampled class of each categorical, int32 ``[..., S]``; -1 where z is zero, which it
            only is before an episode's first record, and only in the 2025 code.
        z: The same as flat one-hot vectors, float32 ``[..., S * C]``, with the straight-through
            gradient; None where no gradient flows through z.
    """

    h: tf.Tensor
    index: tf.Tensor
    z: tf.Tensor | None = None

    def stop_gradient(self) -> "State":
        """The same state as data: no gradient reaches what produced it."""
        return State(tf.stop_gradient(self.h), self.index)

    def with_dense_z(self, classes: int) -> "State":
        """The same state with z as one-hot vectors, for gradients with respect to later z."""
        return State(self.h, self.index, flat_one_hot(self.index, classes))

    def first(self, n: int | tf.Tensor) -> "State":
        """The first ``n`` states of a stack."""
        return State(*(None if x is None else x[:n] for x in self))

    def last(self, n: int | tf.Tensor) -> "State":
        """The last ``n`` states of a stack."""
        return State(*(None if x is None else x[-n:] for x in self))


def flat_one_hot(index: tf.Tensor, classes: int) -> tf.Tensor:
    """int32 ``[..., S]`` -> float32 ``[..., S * C]``."""
    one_hot = tf.one_hot(index, classes)
    return tf.reshape(one_hot, tf.concat([tf.shape(index)[:-1], [index.shape[-1] * classes]], 0))


def _add_rows(
    total: tf.Tensor, index: tf.Tensor, kernel: tf.Tensor, first: int, classes: int
) -> tf.Tensor:
    # XLA fuses the S gathers and S additions into one loop over the output. A slice of the kernel
    # it would copy first.
    total = tf.cast(total, tf.float32)
    added = tf.zeros_like(total)
    for s in range(index.shape[1]):
        added += tf.gather(kernel, tf.maximum(index[:, s], 0) + (first + s * classes))
    return total + tf.where(index[:, :1] < 0, 0.0, added)


def _add_rows_gradient(
    total: tf.Tensor,
    index: tf.Tensor,
    kernel: tf.Tensor,
    upstream: tf.Tensor,
    first: int,
    classes: int,
) -> tuple[tf.Tensor, None, tf.Tensor]:
    # XLA adds in place, one categorical after the other; ten times faster than the product of a
    # matrix of zeros and ones, which would have to be made first.
    by_rows = tf.map_fn(
        lambda c: tf.math.unsorted_segment_sum(upstream, c, classes),
        tf.transpose(index),
        fn_output_signature=tf.float32,
    )
    by_rows = tf.reshape(by_rows, [-1, kernel.shape[1]])
    after = kernel.shape[0] - first - by_rows.shape[0]
    return tf.cast(upstream, total.dtype), None, tf.pad(by_rows, [[first, after], [0, 0]])


@functools.cache
def _compiled_add_rows(first: int, classes: int) -> Callable[..., tf.Tensor]:
    places = {"first": first, "classes": classes}
    return compiled(
        functools.partial(_add_rows, **places), functools.partial(_add_rows_gradient, **places)
    )


def add_one_hot_matmul(
    total: tf.Tensor, index: tf.Tensor, kernel: tf.Tensor, classes: int, first: int = 0
) -> tf.Tensor:
    """Adds the product of flat one-hot vectors with a kernel, computed as a sum of kernel rows.

    Args:
        total: float32 or bfloat16 ``[N, U]``, what is added to.
        index: int32 ``[N, S]``; a row of -1 stands for a vector of zeros.
        kernel: float32 ``[R, U]``, of which S * C rows multiply the vectors.
        classes: C.
        first: Which row is the first of them.

    Returns:
        float32 ``[N, U]``, ``total + flat_one_hot(index, C) @ kernel[first : first + S * C]``.
    """
    return _compiled_add_rows(first, classes)(total, index, kernel)


def multiply_z(state: State, kernel: tf.Tensor, dtype: ComputeDtype = "float32") -> tf.Tensor:
    """Product of a state's flat z with a kernel: ``State [N]``, ``[S * C, U] -> [N, U]``."""
    if state.z is not None:
        return multiply(state.z, kernel, dtype)
    nothing = tf.zeros([tf.shape(state.index)[0], kernel.shape[1]])
    classes = kernel.shape[0] // state.index.shape[1]
    return add_one_hot_matmul(nothing, state.index, kernel, classes)


class StateLinear(tf.Module):
    """Linear layer on concat[h, z]: ``State [N] -> [N, out]``."""

    def __init__(
        self,
        settings: ModelSettings,
        outputs: int,
        rng: Rng,
        init: Initializer,
        bias: bool = True,
    ):
        """Creates one kernel ``[D + S * C, out]``."""
        super().__init__()
        dtype = settings.compute_dtype
        self.linear = Linear(settings.feature, outputs, rng, init, bias=bias, dtype=dtype)
        self._deterministic, self._classes = settings.deterministic, settings.classes
        self._dtype = dtype

    def __call__(self, state: State) -> tf.Tensor:
        """Applies the layer."""
        if state.z is not None:
            return self.linear(tf.concat([state.h, state.z], -1))
        kernel = self.linear.kernel
        y = product(state.h, kernel[: self._deterministic], self._dtype)
        y = add_one_hot_matmul(y, state.index, kernel, self._classes, first=self._deterministic)
        return y if self.linear.bias is None else y + self.linear.bias


class StateMlp(tf.Module):
    """Dense blocks on a model state: ``State [N] -> [N, U]``."""

    def __init__(self, settings: ModelSettings, units: int, layers: int, rng: Rng):
        """Creates the layers."""
        super().__init__()
        style = settings.style
        self.first = StateLinear(settings, units, rng, hidden_init(style), bias=False)
        self.first_activation = NormSilu(units, style)
        self.rest = Mlp(units, units, layers - 1, style, rng)

    def __call__(self, state: State) -> tf.Tensor:
        """Applies the blocks."""
        return self.rest(self.first_activation(self.first(state)))
