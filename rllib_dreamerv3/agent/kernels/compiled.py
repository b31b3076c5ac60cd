"""Small functions that XLA fuses, so that one pass through memory takes the place of many.

The large products stay outside, with TensorFlow's own kernels, which are faster.

What was made fast was measured on CPUs. On other devices kernels have their plain formulas and
TensorFlow's own operations alone, until something better is measured there; so has what is traced
inside of :func:`plain_operations`, for runtimes that have no XLA. :func:`only_plain_operations` is
the one place that decides.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import tensorflow as tf

from rllib_dreamerv3.startup.devices import Device, device_in_use

MEASURED_DEVICES: frozenset[Device] = frozenset({"CPU"})
"""Where the fast forms were measured to be faster than the plain ones."""

_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def plain_operations() -> Iterator[None]:
    """Lets kernels use plain formulas, and no XLA, in all that is traced inside of the block."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def only_plain_operations() -> bool:
    """Whether kernels are to be plain: by device, or inside of :func:`plain_operations`."""
    return _plain.get() or device_in_use() not in MEASURED_DEVICES


def vjp(
    function: Callable[..., tf.Tensor], inputs: Sequence[tf.Tensor], upstream: tf.Tensor
) -> Sequence[tf.Tensor]:
    """Gradients of ``function(*inputs)`` with respect to its inputs, given that of its output."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = function(*inputs)
    return tape.gradient(output, inputs, upstream)


def compiled(
    function: Callable[..., tf.Tensor],
    gradient: Callable[..., Sequence[tf.Tensor | None]] | None = None,
) -> Callable[..., tf.Tensor]:
    """Compiles a function of tensors, and its gradient as another function.

    Nothing but the inputs is kept for the gradient, which computes the rest once more: cheaper than
    writing it to memory and reading it again.

    Args:
        function: Takes tensors and returns one tensor.
        gradient: Takes the same tensors and the gradient of the output; returns the gradients of
            all inputs. Derived by TensorFlow if not given.

    Returns:
        A function like ``function``.
    """

    def derived(*arguments: tf.Tensor) -> Sequence[tf.Tensor]:
        *inputs, upstream = arguments
        return vjp(function, inputs, upstream)

    def alone(*inputs: tf.Tensor) -> tuple[tf.Tensor]:
        return (function(*inputs),)

    # By which profiles call it.
    alone.__name__ = getattr(function, "__name__", alone.__name__)
    return compiled_keeping(alone, gradient or derived)


def compiled_keeping(
    function: Callable[..., Sequence[tf.Tensor]],
    gradient: Callable[..., Sequence[tf.Tensor | None]],
) -> Callable[..., tf.Tensor]:
    """The same, with small results of the way forward kept for the gradient.

    Args:
        function: Takes tensors and returns the output, followed by what is to be kept.
        gradient: Takes the same tensors, what was kept, and the gradient of the output; returns
            the gradients of all inputs.

    Returns:
        A function of the same tensors that returns the output alone.
    """
    forward = tf.function(function, jit_compile=True, autograph=False)
    backward = tf.function(gradient, jit_compile=True, autograph=False)

    @tf.custom_gradient
    def run_compiled(*inputs: tf.Tensor):
        # Without this the tape would have `forward` write its intermediate results as well.
        data = [tf.stop_gradient(x) for x in inputs]
        output, *kept = forward(*data)
        return output, lambda upstream: backward(*data, *kept, upstream)

    def run(*inputs: tf.Tensor) -> tf.Tensor:
        return function(*inputs)[0] if only_plain_operations() else run_compiled(*inputs)

    return run
