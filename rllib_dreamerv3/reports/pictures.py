"""Film strips: truth, predictions and error of image sequences, with time to the right."""

from collections.abc import Mapping, Sequence

import numpy as np

from rllib_dreamerv3.reports.dreams import Dream
from rllib_dreamerv3.spaces.layout import Image

# Pixels around each frame: green where the world model observes, red where it predicts (2025 code),
# gray where it predicts an episode that has already ended.
BORDER = 2
OBSERVED_COLOUR, PREDICTED_COLOUR, OVER_COLOUR = (0, 192, 0), (208, 0, 0), (128, 128, 128)
# Minimum height in pixels of a single observation, and minimum side of a frame in a strip.
PICTURE_SIDE = 256
STRIP_SIDE = 16


def error_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Compute (prediction - truth + 1) / 2, in [0, 1]: gray where the two agree.

    Args:
        truth: float32, any shape, in [0, 1].
        prediction: float32, the same shape; clipped to [0, 1].

    Returns:
        float32, the same shape.
    """
    return (np.clip(prediction, 0.0, 1.0) - truth + 1.0) / 2.0


def as_colours(frames: np.ndarray) -> np.ndarray:
    """Convert frames to colours.

    Args:
        frames: float32 ``[..., c]``, nominally in [0, 1]. Three channels are colours; otherwise the
            last channel is shown in gray (the newest of stacked frames).

    Returns:
        uint8 ``[..., 3]``.
    """
    colours = frames if frames.shape[-1] == 3 else np.repeat(frames[..., -1:], 3, -1)
    return np.rint(np.clip(colours, 0.0, 1.0) * 255.0).astype(np.uint8)


def picture_of(images: Sequence[Image], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draw the images of one observation side by side, enlarged.

    Args:
        images: Layouts of the images, at least one.
        columns: Key -> stored image, ``[h, w, c]``.

    Returns:
        uint8 ``[height, width, 3]``, at least ``PICTURE_SIDE`` pixels high.
    """
    shown = []
    for image in images:
        stored = np.asarray(columns[image.key], np.float32)
        shown.append(as_colours((stored - image.low) / (image.high - image.low)))
    picture = np.concatenate(shown, 1)
    scale = -(-PICTURE_SIDE // len(picture))
    return picture.repeat(scale, 0).repeat(scale, 1)


def border_colours(dream: Dream) -> np.ndarray:
    """Return the colours around the frames of a dream, uint8 ``[B, T, 3]``."""
    colours = np.empty((*dream.is_first.shape, 3), np.uint8)
    colours[:, : dream.observed] = OBSERVED_COLOUR
    colours[:, dream.observed :] = PREDICTED_COLOUR
    is_over = dream.is_first.copy()
    is_over[:, : dream.observed] = False
    colours[np.logical_or.accumulate(is_over, 1)] = OVER_COLOUR
    return colours


def film_strip(frames: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Arrange frames in one picture: time to the right, sequences below each other.

    Args:
        frames: uint8 ``[B, T, height, width, 3]``.
        borders: Colour around each frame, uint8 ``[B, T, 3]``.

    Returns:
        uint8 ``[B * (height + 2 * BORDER), T * (width + 2 * BORDER), 3]``.
    """
    rows, length, height, width, _ = frames.shape
    height, width = height + 2 * BORDER, width + 2 * BORDER
    bordered = np.empty((rows, length, height, width, 3), np.uint8)
    bordered[...] = borders[:, :, None, None]
    bordered[:, :, BORDER:-BORDER, BORDER:-BORDER] = frames
    return bordered.swapaxes(1, 2).reshape(rows * height, length * width, 3)


def film_strip_of(dream: Dream, image: Image, times: np.ndarray) -> np.ndarray:
    """Draw truth, imagination and error of an image of a dream, below each other.

    Args:
        dream: The dream.
        image: Layout of the image.
        times: The records to draw.

    Returns:
        A film strip uint8 ``[height, width, 3]``; frames have at least ``STRIP_SIDE`` pixels.
    """
    truth, imagined = dream.truth[image.key], dream.imagination[image.key]
    bands = [as_colours(x) for x in (truth, imagined, error_of(truth, imagined))]
    frames = np.concatenate(bands, 2)[:, times]
    scale = -(-STRIP_SIDE // min(image.height, image.width))
    frames = frames.repeat(scale, 2).repeat(scale, 3)
    return film_strip(frames, border_colours(dream)[:, times])
