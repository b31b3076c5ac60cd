"""The 5x5 convolution of an image doubled in size by repeating its pixels, without doubling it.

Each pixel becomes a cell of 2x2 equal ones. A 5x5 window over these, wherever it is, sees at most
3x3 cells. What it multiplies a cell with is the sum of the kernel's elements that lie on the cell.
There are four such sums, one for each place that the window can have in a cell: a 3x3 convolution
with four times as many outputs, and 9 products where there were 25. Values differ by rounding.

n images, h x w pixels of the smaller image.
"""

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.kernels.compiled import compiled
from rllib_dreamerv3.kernels.pixel_blocks import cells_to_pixels
from rllib_dreamerv3.options.model_sizes import ComputeDtype


def convolve_upsampled(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """``[n, h, w, in] x [5, 5, in, out] -> [n, 2h, 2w, out]``, in ``dtype``."""
    merged = tf.cast(merge_kernel(kernel), dtype)
    return _pixels(tf.nn.conv2d(tf.cast(x, dtype), merged, 1, "SAME"))


_pixels = compiled(cells_to_pixels)


def _sums() -> np.ndarray:
    """1 where element ``k`` lies on cell ``c - 1`` for a window on pixel ``p``: ``[p, c, k]``."""
    sums = np.zeros((2, 3, 5), np.float32)
    for pixel in range(2):
        for element in range(5):
            sums[pixel, (pixel + element - 2) // 2 + 1, element] = 1.0
    return sums


def merge_kernel(kernel: tf.Tensor) -> tf.Tensor:
    """``[5, 5, in, out] -> [3, 3, in, 4 out]``."""
    inputs, outputs = kernel.shape[2:]
    sums = _sums()
    rows = tf.tensordot(sums, kernel, [[2], [0]])  # [p, c, 5, in, out]
    both = tf.tensordot(sums, rows, [[2], [2]])  # [q, d, p, c, in, out]
    return tf.reshape(tf.transpose(both, [3, 1, 4, 2, 0, 5]), [3, 3, inputs, 4 * outputs])
