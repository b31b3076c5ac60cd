"""Initial weights, drawn with NumPy so that they depend on the seed alone, not on the device.

The last two axes of a shape are (inputs, outputs); the axes before them are height and width of a
convolution kernel, or blocks.
"""

import math

import numpy as np

# A standard normal distribution cut off at +-2 has this standard deviation.
_TRUNCATED_STD = 0.87962566


def truncated_normal_fan_avg(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Truncated normal with variance 1 / mean(fan_in, fan_out): hidden layers of the 2023 code.

    Args:
        shape: Shape of the kernel, at least two axes.
        rng: Source of randomness.

    Returns:
        float32 of that shape.
    """
    factor = math.sqrt(1.0 / _fan_avg(shape)) / _TRUNCATED_STD
    return _truncated_normal(shape, rng) * np.float32(factor)


def uniform_fan_avg(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> np.ndarray:
    """Uniform with variance scale / mean(fan_in, fan_out): output layers of the 2023 code.

    Args:
        shape: Shape of the kernel, at least two axes.
        scale: Factor on the variance; 0 gives zeros.
        rng: Source of randomness.

    Returns:
        float32 of that shape.
    """
    limit = math.sqrt(3.0 * scale / _fan_avg(shape))
    return (rng.random(shape, np.float32) * np.float32(2.0) - np.float32(1.0)) * np.float32(limit)


def truncated_normal_fan_in(
    shape: tuple[int, ...], scale: float, rng: np.random.Generator
) -> np.ndarray:
    """Truncated normal with variance about 1 / fan_in: every layer of the 2025 code.

    The number of inputs of a block kernel ``[blocks, in / blocks, out / blocks]`` is that of all
    blocks together, although each output sees those of its own block only (2025 code).

    Args:
        shape: Shape of the kernel, at least two axes.
        scale: Factor on the weights; 0 gives zeros.
        rng: Source of randomness.

    Returns:
        float32 of that shape.
    """
    factor = scale * 1.1368 * math.sqrt(1.0 / math.prod(shape[:-1]))
    return _truncated_normal(shape, rng) * np.float32(factor)


def _fan_avg(shape: tuple[int, ...]) -> float:
    *area, inputs, outputs = shape
    return math.prod(area) * (inputs + outputs) / 2.0


def _truncated_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Standard normal numbers cut off at +-2: those outside are drawn again."""
    values = rng.standard_normal(math.prod(shape), np.float32)
    outside = np.flatnonzero(np.abs(values) > 2.0)
    while outside.size:
        values[outside] = rng.standard_normal(outside.size, np.float32)
        outside = outside[np.abs(values[outside]) > 2.0]
    return values.reshape(shape)
