import numpy as np
import pytest
import synthetic
from synthetic_dreams import dream_of

from rllib_dreamerv3.reports.dream_video import COLUMNS, GAP, LEAST_SIDE, LINE, video_frames
from rllib_dreamerv3.reports.pictures import BORDER, OBSERVED_COLOUR, PREDICTED_COLOUR, as_colours
from rllib_dreamerv3.spaces.layout import Image, ObservationLayout

SIDE = 8
SCALE = LEAST_SIDE // SIDE
TILE = LEAST_SIDE + 2 * BORDER + GAP


def tile(frame, row, column):
    """The image of a tile, and the colour of its border."""
    top, left = 2 * LINE + row * TILE, column * TILE
    inside = frame[top + BORDER :, left + BORDER :][:LEAST_SIDE, :LEAST_SIDE]
    return inside[::SCALE, ::SCALE], tuple(frame[top, left].tolist())


def test_each_column_shows_its_own():
    dream = dream_of(synthetic.IMAGE, rows=2, length=6, observed=2)
    frames = video_frames(dream)
    assert frames.shape == (6, 2 * LINE + 2 * TILE, len(COLUMNS) * TILE, 3)
    assert frames.dtype == np.uint8
    key = "obs/camera"
    for time in range(6):
        for row in range(2):
            shown = [tile(frames[time], row, column) for column in range(4)]
            for (image, _), predicted in zip(
                shown, (dream.truth, dream.reconstruction, dream.imagination), strict=False
            ):
                np.testing.assert_array_equal(image, as_colours(predicted[key][row, time]))
            error, _ = shown[3]
            assert (error == 128).all() == (time < 2)
        assert shown[0][1] == (OBSERVED_COLOUR if time < 2 else PREDICTED_COLOUR)


def test_every_pixel_is_repeated_alike():
    frame = video_frames(dream_of(synthetic.IMAGE))[0]
    image = frame[2 * LINE + BORDER :, BORDER:][:LEAST_SIDE, :LEAST_SIDE]
    small, _ = tile(frame, 0, 0)
    np.testing.assert_array_equal(image, small.repeat(SCALE, 0).repeat(SCALE, 1))


def test_frames_are_labelled():
    frames = video_frames(dream_of(synthetic.IMAGE, length=6, observed=2))
    steps, names = frames[:, :LINE], frames[:, LINE : 2 * LINE]
    assert (names == names[0]).all()
    labels = [names[0, :, i * TILE : (i + 1) * TILE] for i in range(len(COLUMNS))]
    for label in labels:
        assert label.max() == 255
        # No name reaches into the next column.
        assert label[:, -GAP:].max() == 0
    assert len({label.tobytes() for label in labels}) == len(COLUMNS)
    assert len({step.tobytes() for step in steps}) == 6


def test_images_of_an_observation_are_below_each_other():
    frames = video_frames(dream_of(synthetic.EVERYTHING, rows=3))
    assert frames.shape[1:3] == (2 * LINE + 3 * 2 * TILE, len(COLUMNS) * TILE)


@pytest.mark.parametrize("side", [64, 80, 97])
def test_sides_are_even(side):
    layout = ObservationLayout((Image("obs/x", side, side, 1),))
    _, height, width, _ = video_frames(dream_of(layout, rows=1, length=2)).shape
    assert height % 2 == width % 2 == 0
    assert height > 2 * LINE + side


def test_without_images_there_is_no_video():
    with pytest.raises(ValueError, match="no image: write plots"):
        video_frames(dream_of(synthetic.VECTOR))
