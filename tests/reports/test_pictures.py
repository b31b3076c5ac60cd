import numpy as np
import pytest

from rllib_dreamerv3.reports.pictures import BORDER, compare, film_strip
from rllib_dreamerv3.spaces.layout import Image


def test_error_is_gray_where_prediction_is_right_and_all_stays_in_range():
    image = Image("obs/image", 1, 1, 1)
    stored = np.array([0, 255, 51, 255], np.uint8).reshape(1, 4, 1, 1, 1)
    prediction = np.array([0.0, 0.0, 0.6, 5.0], np.float32).reshape(stored.shape)
    truth, shown, error = compare(image, stored, prediction)[0, :, :, 0, 0].T
    np.testing.assert_allclose(truth, [0, 1, 0.2, 1])
    np.testing.assert_allclose(shown, [0, 0, 0.6, 1])
    np.testing.assert_allclose(error, [0.5, 0, 0.7, 1], rtol=1e-6)


def test_truth_of_images_with_other_bounds_is_scaled_by_them():
    image = Image("obs/image", 1, 1, 1, low=-1.0, high=1.0, dtype="float32")
    stored = np.array([-1.0, 0.0, 1.0], np.float32).reshape(1, 3, 1, 1, 1)
    truth = compare(image, stored, np.zeros_like(stored))[0, :, 0, 0, 0]
    np.testing.assert_allclose(truth, [0.0, 0.5, 1.0])


def test_film_strip_runs_right_with_rows_below_each_other():
    frames = np.zeros((2, 3, 6, 4, 3), np.float32)
    frames[1, 2, 5, 0] = [1.0, 0.5, 0.0]
    strip = film_strip(frames, observed=1)
    height, width = 6 + 2 * BORDER, 4 + 2 * BORDER
    assert strip.shape == (2 * height, 3 * width, 3)
    assert strip.dtype == np.uint8
    assert strip[height + BORDER + 5, 2 * width + BORDER].tolist() == [255, 128, 0]
    green, red = strip[0, 0], strip[0, width]
    assert green.argmax() == 1
    assert red.argmax() == 0
    assert (strip[height, 2 * width] == red).all()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_show_the_last_in_gray(channels):
    frames = np.zeros((1, 1, 3, 2, channels), np.float32)
    frames[..., -1] = 1.0
    inside = film_strip(frames, observed=1)[BORDER:-BORDER, BORDER:-BORDER]
    assert inside.shape == (3, 2, 3)
    assert (inside == 255).all()
