import numpy as np
import synthetic
import tensorflow as tf

from rllib_dreamerv3.kernels.pixel_blocks import cells_to_pixels, pixels_to_cells


def test_cells_are_as_tensorflow_has_them_and_back():
    pixels = synthetic.uniform(2, 4, 6, 3)
    cells = pixels_to_cells(pixels)
    np.testing.assert_array_equal(cells, tf.nn.space_to_depth(pixels, 2))
    np.testing.assert_array_equal(cells_to_pixels(cells), pixels)
