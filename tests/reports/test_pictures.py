import numpy as np
import pytest
import synthetic
from synthetic_dreams import dream_of

from rllib_dreamerv3.reports.pictures import (
    BORDER,
    OBSERVED_COLOUR,
    OVER_COLOUR,
    PREDICTED_COLOUR,
    as_colours,
    border_colours,
    error_of,
    film_strip,
    film_strip_of,
)


def test_error_is_gray_where_prediction_is_right_and_all_stays_in_range():
    truth = np.array([0, 1, 0.2, 1], np.float32)
    prediction = np.array([0.0, 0.0, 0.6, 5.0], np.float32)
    np.testing.assert_allclose(error_of(truth, prediction), [0.5, 0, 0.7, 0.5], rtol=1e-6)


def test_film_strip_runs_right_with_rows_below_each_other():
    frames = np.zeros((2, 3, 6, 4, 3), np.uint8)
    frames[1, 2, 5, 0] = [255, 128, 0]
    borders = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    strip = film_strip(frames, borders)
    height, width = 6 + 2 * BORDER, 4 + 2 * BORDER
    assert strip.shape == (2 * height, 3 * width, 3)
    assert strip.dtype == np.uint8
    assert strip[height + BORDER + 5, 2 * width + BORDER].tolist() == [255, 128, 0]
    for row in range(2):
        for time in range(3):
            corner = strip[row * height, time * width]
            assert corner.tolist() == borders[row, time].tolist()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_show_the_last_in_gray(channels):
    frames = np.zeros((1, 1, 3, 2, channels), np.float32)
    frames[..., -1] = 1.0
    colours = as_colours(frames)
    assert colours.shape == (1, 1, 3, 2, 3)
    assert (colours == 255).all()


def test_borders_tell_what_was_seen_and_where_the_episode_is_over():
    # The first row's episode ends before its middle.
    colours = border_colours(dream_of(synthetic.IMAGE, rows=2, length=6, observed=2)).tolist()
    seen, predicted, over = (list(x) for x in (OBSERVED_COLOUR, PREDICTED_COLOUR, OVER_COLOUR))
    assert colours[0] == [seen] * 2 + [predicted] + [over] * 3
    assert colours[1] == [seen] * 2 + [predicted] * 4


def test_strips_show_truth_imagination_and_error_of_each_image():
    dream = dream_of(synthetic.EVERYTHING, rows=2, length=6)
    height, width = 3 * 16 + 2 * BORDER, 16 + 2 * BORDER
    for image, key in zip(dream.layout.images, ("obs/b", "obs/d"), strict=True):
        strip = film_strip_of(dream, image, np.arange(6))
        assert strip.shape == (2 * height, 6 * width, 3)
        shown = strip[BORDER:][: 3 * 16, 4 * width + BORDER :][:, :16]
        truth, imagination = dream.truth[key][0, 4], dream.imagination[key][0, 4]
        np.testing.assert_array_equal(shown[:16], as_colours(truth))
        np.testing.assert_array_equal(shown[16:32], as_colours(imagination))
        assert shown[32:].std() > 0
    # Where imagination has seen the record, it is right here.
    assert (strip[BORDER + 32 : BORDER + 48, BORDER : BORDER + 16] == 128).all()
    chosen = film_strip_of(dream, image, np.array([0, 5]))
    np.testing.assert_array_equal(chosen[:, width:], strip[:, 5 * width :])
