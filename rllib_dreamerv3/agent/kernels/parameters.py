"""How layers read their parameters and multiply with their kernels.

Always through :func:`read` and :func:`multiply`. While a recurrence runs, it does
both in its own way (see ``recurrence.py``); the layers inside of its step need not know.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.products import product
from rllib_dreamerv3.options.table import ComputeDtype


class View:
    """A part of a variable, or the whole in another shape.

    For a layer on several inputs at once, of which each is multiplied with its own rows of the
    kernel at a different time.
    """

    def __init__(self, variable: tf.Variable, function: Callable[[tf.Tensor], tf.Tensor]):
        """Takes the variable, and what makes the part of it."""
        self._variable, self._function = variable, function

    def value(self) -> tf.Tensor:
        """The part; gradient flows to the variable."""
        return self._function(tf.convert_to_tensor(self._variable))


Parameter: TypeAlias = tf.Variable | View


class Access(Protocol):
    """A way to read parameters and to multiply with kernels."""

    def read(self, parameter: Parameter) -> tf.Tensor:
        """See :func:`read`."""

    def multiply(self, x: tf.Tensor, kernel: Parameter) -> tf.Tensor:
        """See :func:`multiply`."""


_access: ContextVar[Access | None] = ContextVar("access", default=None)


@contextmanager
def accessed_by(access: Access) -> Iterator[None]:
    """Lets ``access`` serve all that is read and multiplied inside of the block."""
    token = _access.set(access)
    try:
        yield
    finally:
        _access.reset(token)


def value_of(parameter: Parameter) -> tf.Tensor:
    """A parameter's value, read from its variable."""
    return parameter.value() if isinstance(parameter, View) else tf.convert_to_tensor(parameter)


def read(parameter: Parameter) -> tf.Tensor:
    """A parameter's value."""
    access = _access.get()
    return value_of(parameter) if access is None else access.read(parameter)


def multiply(x: tf.Tensor, kernel: Parameter, dtype: ComputeDtype = "float32") -> tf.Tensor:
    """Product with a dense or a block kernel.

    Args:
        x: ``[..., in]``; inside of a recurrence ``[N, in]``.
        kernel: See :mod:`~rllib_dreamerv3.agent.kernels.products`.
        dtype: In which the product is computed. Recurrences multiply in float32 whatever it says:
            with their few rows nothing else is faster.

    Returns:
        float32 ``[..., out]``.
    """
    access = _access.get()
    if access is None:
        return tf.cast(product(x, value_of(kernel), dtype), tf.float32)
    return access.multiply(x, kernel)
