"""Small functions that XLA fuses, so that one pass through memory replaces many.

Large products stay outside: TensorFlow's own kernels are faster for them.

The optimised kernels were measured on CPUs. On other devices kernels use the plain formulas and
TensorFlow's own operations, and XLA compiles the complete update (:func:`compiled_whole`), until
something better is measured there. Code traced inside :func:`plain_operations`, for runtimes
without XLA, uses the plain formulas too. Only :func:`only_plain_operations` decides.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from rllib_dreamerv3.startup.devices import Device, device_in_use

MEASURED_DEVICES: frozenset[Device] = frozenset({"CPU"})
"""Devices on which the optimised kernels were measured to be faster than the plain formulas."""

_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def plain_operations() -> Iterator[None]:
    """Make kernels use plain formulas without XLA in all code traced in the block."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def only_plain_operations() -> bool:
    """Whether kernels must use plain formulas: on this device, or in :func:`plain_operations`."""
    return _plain.get() or device_in_use() not in MEASURED_DEVICES


def compiled_whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a complete update as one XLA program, on devices where no kernel was measured.

    Elsewhere return the function unchanged: on CPUs, XLA's large products and convolutions are
    slower than TensorFlow's.

    Args:
        function: Takes and returns nested structures of tensors, and may assign variables. Draws no
            random numbers: XLA's differ from TensorFlow's.
    """
    if device_in_use() in MEASURED_DEVICES:
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def vjp(
    function: Callable[..., tf.Tensor], inputs: Sequence[tf.Tensor], upstream: tf.Tensor
) -> Sequence[tf.Tensor]:
    """Gradients of ``function(*inputs)`` by its inputs, from the gradient by its output."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = function(*inputs)
    return tape.gradient(output, inputs, upstream)


def compiled(
    function: Callable[..., tf.Tensor],
    gradient: Callable[..., Sequence[tf.Tensor | None]] | None = None,
) -> Callable[..., tf.Tensor]:
    """Compile a function of tensors, and its gradient as another function.

    Only the inputs are kept for the gradient, which recomputes the rest: cheaper than writing it to
    memory and reading it again.

    Args:
        function: Takes tensors and returns one tensor.
        gradient: Takes the same tensors and the gradient by the output; returns the gradients by
            all inputs. Derived by TensorFlow if not given.

    Returns:
        A function like ``function``.
    """

    def derived(*arguments: tf.Tensor) -> Sequence[tf.Tensor]:
        *inputs, upstream = arguments
        return vjp(function, inputs, upstream)

    def alone(*inputs: tf.Tensor) -> tuple[tf.Tensor]:
        return (function(*inputs),)

    # The name in profiles.
    alone.__name__ = getattr(function, "__name__", alone.__name__)
    return compiled_keeping(alone, gradient or derived)


def compiled_keeping(
    function: Callable[..., Sequence[tf.Tensor]],
    gradient: Callable[..., Sequence[tf.Tensor | None]],
) -> Callable[..., tf.Tensor]:
    """Likewise, but keeps small results of the forward pass for the gradient.

    Args:
        function: Takes tensors and returns the output, followed by the results to keep.
        gradient: Takes the same tensors, the kept results, and the gradient by the output; returns
            the gradients by all inputs.

    Returns:
        A function of the same tensors that returns the output only.
    """
    forward = tf.function(function, jit_compile=True, autograph=False)
    backward = tf.function(gradient, jit_compile=True, autograph=False)

    @tf.custom_gradient
    def run_compiled(*inputs: tf.Tensor):
        # Without this the tape would make `forward` write its intermediate results too.
        data = [tf.stop_gradient(x) for x in inputs]
        output, *kept = forward(*data)
        return output, lambda upstream: backward(*data, *kept, upstream)

    def run(*inputs: tf.Tensor) -> tf.Tensor:
        return function(*inputs)[0] if only_plain_operations() else run_compiled(*inputs)

    return run
