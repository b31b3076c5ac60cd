"""Draws a dream's observation: its images, or its numbers as bars if it has none."""

import numpy as np

from rllib_dreamerv3.records import Columns
from rllib_dreamerv3.reports.pictures import PICTURE_SIDE, picture_of
from rllib_dreamerv3.spaces.layout import ObservationLayout

# Pixels of a bar and of the space below it.
_BAR, _SPACE = 12, 4
_POSITIVE, _NEGATIVE, _MIDDLE = (0, 114, 178), (213, 94, 0), (128, 128, 128)


def dream_picture(layout: ObservationLayout, columns: Columns) -> np.ndarray:
    """Draw an observation.

    Args:
        layout: Its parts.
        columns: Key -> stored value, without an axis of dreams.

    Returns:
        uint8 ``[height, width, 3]``: the images beside each other; without images a bar for each
        number x, from the middle to the right or left by x / (1 + abs(x)).
    """
    if layout.images:
        return picture_of(layout.images, columns)
    numbers = np.concatenate([np.ravel(columns[leaf.key]) for leaf in layout.vectors])
    return bars(numbers)


def bars(numbers: np.ndarray) -> np.ndarray:
    """Draw numbers ``[n]`` below each other, uint8 ``[n * 16, 257, 3]``."""
    middle = PICTURE_SIDE // 2
    rows, columns = _BAR + _SPACE, PICTURE_SIDE + 1
    picture = np.full((len(numbers) * rows, columns, 3), 255, np.uint8)
    for i, x in enumerate(numbers.astype(np.float64)):
        length = round(middle * abs(x) / (1.0 + abs(x)))
        bar = picture[i * rows + _SPACE // 2 :][:_BAR]
        if x >= 0:
            bar[:, middle + 1 : middle + 1 + length] = _POSITIVE
        else:
            bar[:, middle - length : middle] = _NEGATIVE
    picture[:, middle] = _MIDDLE
    return picture
