"""Resizes images, one axis after the other."""

import numpy as np

# float32 is exact for integers up to this.
_EXACT_INTEGERS = 2**24


def resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize images: downscales by area averaging, upscales by repetition.

    Small images are mostly boards and maps, whose values must not be blended; upscaling keeps
    every pixel as a block.

    Args:
        images: ``uint8`` or ``float32 [N, h, w, C]``.
        height: Height of the result.
        width: Width of the result.

    Returns:
        ``[N, height, width, C]`` of the same dtype (``uint8`` is rounded); the same array if it
        already has that size.
    """
    smaller = min(height, images.shape[1]), min(width, images.shape[2])
    return nearest(_average(images, *smaller), height, width)


def nearest(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize images ``[N, h, w, C]`` to nearest neighbours; inverts an upscaling exactly."""
    for axis, size in ((1, height), (2, width)):
        old = images.shape[axis]
        if old != size:
            images = images.take((2 * np.arange(size) + 1) * old // (2 * size), axis)
    return images


def _average(images: np.ndarray, height: int, width: int) -> np.ndarray:
    h, w = images.shape[1:3]
    if (h, w) == (height, width):
        return images
    # Sums of integers are exact, so that means are rounded alike on every machine.
    exact = images.dtype == np.uint8 and 255 * h * w < _EXACT_INTEGERS
    sums = images.astype(np.float32 if exact else np.float64)
    for axis, size in ((1, height), (2, width)):
        if sums.shape[axis] == size:
            sums = np.multiply(sums, size, dtype=sums.dtype)
        else:
            sums = _add_up(sums, axis, size)
    means = np.divide(sums, h * w, dtype=sums.dtype)
    return (np.rint(means) if images.dtype == np.uint8 else means).astype(images.dtype)


def _add_up(images: np.ndarray, axis: int, outputs: int) -> np.ndarray:
    """Sum old pixels along an axis, each weighted by ``outputs`` times its share in the new."""
    inputs = images.shape[axis]
    new = np.arange(outputs) * inputs
    shape = [outputs if i == axis else 1 for i in range(images.ndim)]
    total: np.ndarray | float = 0.0
    # The first old pixel of every new one, then the second of every one, and so on. A matrix
    # product would wait for other threads longer than it computes.
    for k in range(-(-inputs // outputs) + 1):
        old = new // outputs + k
        shares = np.minimum(new + inputs, (old + 1) * outputs) - np.maximum(new, old * outputs)
        weights = np.clip(shares, 0, None).astype(images.dtype).reshape(shape)
        total = total + images.take(np.minimum(old, inputs - 1), axis) * weights
    return np.asarray(total)
