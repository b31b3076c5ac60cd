"""Measures which dtype is faster for large products, for ``compute_dtype="auto"``.

Processors with instructions for bfloat16 multiply about 2 (AMD) to 4 times (Intel AMX) as fast in
it as in float32. Others emulate it and are many times slower.
"""

import time

import tensorflow as tf

from rllib_dreamerv3.options.table import ComputeDtype

# Above this ratio of product speeds, complete updates were faster, too (docs/performance.md). Only
# products and convolutions gain; conversions between the dtypes cost time.
WORTHWHILE = 1.5

_ROWS, _INPUTS, _OUTPUTS = 1024, 512, 512
_REPEATS = 8
_MOST_SECONDS = 0.5


def product_speeds() -> dict[ComputeDtype, float]:
    """Measure a product of 1024x512 with 512x512 in each dtype, on the device in use.

    Takes about 0.1 s, and 2 s on processors that emulate bfloat16.

    Returns:
        GFLOP/s of the fastest of several products.
    """
    return {"float32": _speed("float32"), "bfloat16": _speed("bfloat16")}


def faster_dtype(speeds: dict[ComputeDtype, float]) -> ComputeDtype:
    """Return the dtype with which updates are faster, given :func:`product_speeds`."""
    worthwhile = speeds["bfloat16"] >= WORTHWHILE * speeds["float32"]
    return "bfloat16" if worthwhile else "float32"


def _speed(dtype: ComputeDtype) -> float:
    x = tf.cast(tf.random.stateless_normal([_ROWS, _INPUTS], [0, 0]), dtype)
    kernel = tf.cast(tf.random.stateless_normal([_INPUTS, _OUTPUTS], [0, 1]), dtype)
    fastest, began = float("inf"), time.perf_counter()
    for _ in range(_REPEATS):
        before = time.perf_counter()
        # Reading the result waits for it, on any device.
        tf.matmul(x, kernel)[0, 0].numpy()
        fastest = min(fastest, time.perf_counter() - before)
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    return 2 * _ROWS * _INPUTS * _OUTPUTS / fastest / 1e9
