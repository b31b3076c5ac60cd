"""The 5x5 convolution of an upsampled image, computed without upsampling it.

The plain formula is `plain_convolve_upsampled`: every pixel is repeated to a 2x2 block, and the
result is convolved. Wherever a 5x5 window lies, it covers at most 3x3 such blocks, and within a
block all pixels are equal: the block's value is multiplied by the sum of the kernel's elements that
lie on it. A window can have four positions relative to the blocks, hence four sets of sums. They
form a 3x3 kernel with four times the output channels, one set for each pixel of an output block;
9 products replace 25. Results differ from the plain formula by rounding.

n images, h x w pixels of the smaller image.
"""

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import compiled, only_plain_operations
from rllib_dreamerv3.options.table import ComputeDtype


def plain_convolve_upsampled(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """``[n, h, w, in] x [5, 5, in, out] -> [n, 2h, 2w, out]``."""
    upsampled = tf.repeat(tf.repeat(x, 2, 1), 2, 2)
    return tf.nn.conv2d(upsampled, kernel, 1, "SAME")


def convolve_upsampled(x: tf.Tensor, kernel: tf.Tensor, dtype: ComputeDtype) -> tf.Tensor:
    """``[n, h, w, in] x [5, 5, in, out] -> [n, 2h, 2w, out]``, in ``dtype``."""
    if only_plain_operations():
        return plain_convolve_upsampled(tf.cast(x, dtype), tf.cast(kernel, dtype))
    merged = tf.cast(merge_kernel(kernel), dtype)
    return _depth_to_space(tf.nn.conv2d(tf.cast(x, dtype), merged, 1, "SAME"))


@compiled
def _depth_to_space(x: tf.Tensor) -> tf.Tensor:
    """``[n, h, w, 4 out] -> [n, 2h, 2w, out]``."""
    return tf.nn.depth_to_space(x, 2)


def _coverage() -> np.ndarray:
    """Which elements of a 5-wide window lie on which block, along one axis.

    Returns:
        float32 ``[2, 3, 5]``: 1 at ``[p, b, k]`` if element k of the window around pixel p of a
        block (0 or 1) lies on the previous block (b = 0), on the same one (1) or on the next (2).
    """
    coverage = np.zeros((2, 3, 5), np.float32)
    for pixel in range(2):
        for element in range(5):
            coverage[pixel, (pixel + element - 2) // 2 + 1, element] = 1.0
    return coverage


def merge_kernel(kernel: tf.Tensor) -> tf.Tensor:
    """Sum the elements that lie on one block: ``[5, 5, in, out] -> [3, 3, in, 4 out]``."""
    inputs, outputs = kernel.shape[2:]
    coverage = _coverage()
    by_row = tf.tensordot(coverage, kernel, [[2], [0]])  # [p, b, 5, in, out]
    by_both = tf.tensordot(coverage, by_row, [[2], [2]])  # [q, d, p, b, in, out]
    return tf.reshape(tf.transpose(by_both, [3, 1, 4, 2, 0, 5]), [3, 3, inputs, 4 * outputs])
