import numpy as np
import synthetic
from synthetic_dreams import dream_of

from rllib_dreamerv3.reports.labelled_strips import LINE, MARGIN, labelled_strips
from rllib_dreamerv3.reports.pictures import (
    BORDER,
    OBSERVED_COLOUR,
    PREDICTED_COLOUR,
    film_strip_of,
)


def has_text(part):
    """Whether there is something dark on white."""
    return bool((part.min(-1) < 100).any())


def test_rows_have_names_frames_their_steps_and_borders_a_legend():
    dream = dream_of(synthetic.IMAGE, rows=2, length=6, observed=2)
    (image,) = dream.layout.images
    strip = film_strip_of(dream, image, np.arange(6))
    picture = labelled_strips(dream)
    height, width, _ = strip.shape
    assert picture.shape[0] == LINE + height + LINE
    np.testing.assert_array_equal(picture[LINE : LINE + height, MARGIN : MARGIN + width], strip)
    side = (height // 2 - 2 * BORDER) // 3
    for row in range(2):
        for band in range(3):
            top = LINE + row * height // 2 + BORDER + band * side
            assert has_text(picture[top : top + side, :MARGIN])
    assert has_text(picture[:LINE, MARGIN : MARGIN + width // 6])
    legend = picture[LINE + height :]
    assert has_text(legend)
    for colour in (OBSERVED_COLOUR, PREDICTED_COLOUR):
        assert (legend == colour).all(-1).any()


def test_each_image_has_its_line_of_steps():
    dream = dream_of(synthetic.EVERYTHING, rows=1, length=40)
    times = np.array([0, 10, 39])
    heights = [len(film_strip_of(dream, image, times)) for image in dream.layout.images]
    picture = labelled_strips(dream, times)
    assert len(picture) == sum(heights) + 3 * LINE
    second = LINE + heights[0]
    assert has_text(picture[second : second + LINE, :MARGIN])
    assert has_text(picture[second : second + LINE, MARGIN:])


def test_there_is_no_strip_without_images():
    assert labelled_strips(dream_of(synthetic.VECTOR)) is None
