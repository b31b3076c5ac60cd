"""Measures which dtype is faster for large products, for ``compute_dtype="auto"``.

Processors with instructions for bfloat16 multiply about 2 (AMD) to 4 times (Intel AMX) as fast in
it as in float32. Others emulate it and are many times slower.
"""

import math
import time
from typing import get_args

import tensorflow as tf

from rllib_dreamerv3.options.table import ComputeDtype

# Above this ratio of product speeds, complete updates were faster, too (docs/performance.md). Only
# products and convolutions gain; conversions between the dtypes cost time.
WORTHWHILE = 1.5

_ROWS, _INPUTS, _OUTPUTS = 1024, 512, 512
_ROUNDS = 60
_MAX_SECONDS = 1.5


def product_speeds() -> dict[ComputeDtype, float]:
    """Measure a product of 1024x512 with 512x512 in each dtype, on the device in use.

    The dtypes take turns, and the fastest product of each counts, so that other processes on a busy
    machine do not decide. Takes 0.2 s on an idle machine, at most about 2 s on a busy one or on
    processors that emulate bfloat16.

    Returns:
        GFLOP/s of the fastest product.
    """
    x = tf.random.stateless_normal([_ROWS, _INPUTS], [0, 0])
    kernel = tf.random.stateless_normal([_INPUTS, _OUTPUTS], [0, 1])
    dtypes: tuple[ComputeDtype, ...] = get_args(ComputeDtype)
    factors = {dtype: (tf.cast(x, dtype), tf.cast(kernel, dtype)) for dtype in dtypes}
    fastest, began = dict.fromkeys(factors, math.inf), time.perf_counter()
    for _ in range(_ROUNDS):
        for dtype, (a, b) in factors.items():
            before = time.perf_counter()
            # Reading the result waits for it, on any device.
            tf.matmul(a, b)[0, 0].numpy()
            fastest[dtype] = min(fastest[dtype], time.perf_counter() - before)
        if time.perf_counter() - began > _MAX_SECONDS:
            break
    gflop = 2 * _ROWS * _INPUTS * _OUTPUTS / 1e9
    return {dtype: gflop / seconds for dtype, seconds in fastest.items()}


def faster_dtype(speeds: dict[ComputeDtype, float]) -> ComputeDtype:
    """Return the dtype with which updates are faster, given :func:`product_speeds`."""
    worthwhile = speeds["bfloat16"] >= WORTHWHILE * speeds["float32"]
    return "bfloat16" if worthwhile else "float32"
