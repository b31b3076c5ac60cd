"""Images as cells of 2x2 pixels: half the width and height, four times the channels.

The upper two pixels of a cell come first; each has all of its channels side by side.
"""

import tensorflow as tf


def cells_to_pixels(cells: tf.Tensor) -> tf.Tensor:
    """``[n, h, w, 4 c] -> [n, 2h, 2w, c]``."""
    height, width, channels = cells.shape[1], cells.shape[2], cells.shape[3] // 4
    x = tf.reshape(cells, [-1, height, width, 2, 2, channels])
    x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
    return tf.reshape(x, [-1, 2 * height, 2 * width, channels])


def pixels_to_cells(pixels: tf.Tensor) -> tf.Tensor:
    """``[n, 2h, 2w, c] -> [n, h, w, 4 c]``, the inverse."""
    height, width, channels = pixels.shape[1] // 2, pixels.shape[2] // 2, pixels.shape[3]
    x = tf.reshape(pixels, [-1, height, 2, width, 2, channels])
    x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
    return tf.reshape(x, [-1, height, width, 4 * channels])
