"""Reading of parameters and multiplication with kernels, by all layers.

A recurrence replaces both while it runs (see ``recurrence.py``), without changes to the layers in
its step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.products import product
from rllib_dreamerv3.options.table import ComputeDtype


class View:
    """A part of a variable, or the complete variable in another shape.

    For a layer with several inputs that are multiplied with their own rows of the kernel at
    different times.
    """

    def __init__(self, variable: tf.Variable, function: Callable[[tf.Tensor], tf.Tensor]):
        """Take the variable, and the function that computes the part from it."""
        self._variable, self._function = variable, function

    def value(self) -> tf.Tensor:
        """Return the part; the gradient flows to the variable."""
        return self._function(tf.convert_to_tensor(self._variable))


Parameter: TypeAlias = tf.Variable | View


class Access(Protocol):
    """An implementation of :func:`read` and :func:`multiply`."""

    def read(self, parameter: Parameter) -> tf.Tensor:
        """See :func:`read`."""

    def multiply(self, x: tf.Tensor, kernel: Parameter) -> tf.Tensor:
        """See :func:`multiply`."""


_access: ContextVar[Access | None] = ContextVar("access", default=None)


@contextmanager
def accessed_by(access: Access) -> Iterator[None]:
    """Route reads and matmuls in this block through ``access``."""
    token = _access.set(access)
    try:
        yield
    finally:
        _access.reset(token)


def value_of(parameter: Parameter) -> tf.Tensor:
    """Return a parameter's value, read from its variable."""
    return parameter.value() if isinstance(parameter, View) else tf.convert_to_tensor(parameter)


def read(parameter: Parameter) -> tf.Tensor:
    """Return a parameter's value."""
    access = _access.get()
    return value_of(parameter) if access is None else access.read(parameter)


def multiply(x: tf.Tensor, kernel: Parameter, dtype: ComputeDtype = "float32") -> tf.Tensor:
    """Multiply with a dense or a block kernel.

    Args:
        x: ``[..., in]``; in a recurrence ``[N, in]``.
        kernel: See :mod:`~rllib_dreamerv3.agent.kernels.products`.
        dtype: Dtype of the product. Recurrences ignore it and use float32, which is the fastest for
            their few rows.

    Returns:
        float32 ``[..., out]``.
    """
    access = _access.get()
    if access is None:
        return tf.cast(product(x, value_of(kernel), dtype), tf.float32)
    return access.multiply(x, kernel)
