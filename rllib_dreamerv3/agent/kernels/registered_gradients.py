"""Frees the graphs that ``tf.custom_gradient`` would keep for the life of the process."""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow.python.framework import ops


@contextmanager
def free_registered_gradients() -> Iterator[None]:
    """Free the gradients that are registered inside; a decorator of functions to be traced.

    TensorFlow registers the gradient of every call of a function with a custom gradient, for code
    that differentiates the graph later. The entries keep the graph and its variables, and are never
    removed. The functions decorated here take all their gradients while they are traced, or none.
    """
    registry = ops.gradient_registry._registry
    before = set(registry)
    try:
        yield
    finally:
        for name in registry.keys() - before:
            if name.startswith("CustomGradient-"):
                del registry[name]
