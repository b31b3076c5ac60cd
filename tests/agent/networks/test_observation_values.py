import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.networks.observation_values import (
    centred_image,
    unit_image,
    vector_value,
)
from rllib_dreamerv3.spaces.layout import Categorical, Vector

pytestmark = pytest.mark.compiled

NANO, NANO_V2 = synthetic.NANO, synthetic.NANO_V2
NO_SYMLOG = dataclasses.replace(NANO, symlog_obs=False)


def test_encoder_pixel_vector():
    inputs, expected, rtol, atol = case("reconstruction_loss")
    pixels = tf.constant(inputs["pixels"].astype(np.uint8).reshape(1, 1, 1, 3))
    entering = centred_image(pixels, 0.0, 255.0, "float32")
    np.testing.assert_allclose(
        tf.reshape(entering, [-1]), expected["encoder_pixel_input"], rtol, atol
    )


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 3.0)])
def test_images_are_scaled_by_their_bounds(low, high):
    pixels = tf.constant([low, 0.5 * (low + high), high])[None, :, None, None]
    for scaled, offset in (
        (unit_image(pixels, low, high), 0.0),
        (centred_image(pixels, low, high, "float32"), -0.5),
    ):
        np.testing.assert_allclose(
            scaled[0, :, 0, 0], np.array([0.0, 0.5, 1.0]) + offset, atol=1e-6
        )


def test_vector_values():
    vector, categorical = Vector("obs/v", 2), Categorical("obs/c", (3, 2))
    numbers, classes = tf.constant([[10.0, -1.0]]), tf.constant([[2, 0]])
    np.testing.assert_array_equal(vector_value(vector, numbers, NO_SYMLOG), numbers)
    np.testing.assert_allclose(
        vector_value(vector, numbers, NANO), [[np.log(11), -np.log(2)]], rtol=1e-6
    )
    one_hot = np.array([[0.0, 0.0, 1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(vector_value(categorical, classes, NO_SYMLOG), one_hot)
    np.testing.assert_allclose(vector_value(categorical, classes, NANO), one_hot * np.log(2))
    # Predicted as classes, they are no numbers and need no symlog.
    np.testing.assert_array_equal(vector_value(categorical, classes, NANO_V2), one_hot)
