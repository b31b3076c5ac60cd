"""Pictures of predicted image sequences."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.networks.observation_values import unit_image
from rllib_dreamerv3.spaces.layout import Image

# Pixels around each frame, green where the world model observes, red where it predicts (2025 code).
BORDER = 2
_OBSERVED_COLOUR, _PREDICTED_COLOUR = (0, 192, 0), (208, 0, 0)


def compare(image: Image, stored: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Puts truth, prediction and error of each frame below each other.

    Args:
        image: The observation leaf.
        stored: Recorded images ``[B, T, h, w, c]``.
        prediction: float32 ``[B, T, h, w, c]``, nominally in [0, 1].

    Returns:
        float32 ``[B, T, 3 * h, w, c]`` in [0, 1]. The error is (prediction - truth + 1) / 2: gray
        where the two agree.
    """
    truth = unit_image(stored, image.low, image.high).numpy()
    error = (prediction - truth + 1.0) / 2.0
    return np.clip(np.concatenate([truth, prediction, error], 2), 0.0, 1.0)


def film_strip(frames: np.ndarray, observed: int) -> np.ndarray:
    """Lays frames out in one picture: time to the right, sequences below each other.

    Args:
        frames: float32 ``[B, T, height, w, c]`` in [0, 1]. Three channels are colours; of any
            other number the last is shown in gray (of stacked frames it is the newest).
        observed: Frames of each row with a green border (observed); the others, which are
            predicted, get a red one.

    Returns:
        uint8 ``[B * (height + 2 * BORDER), T * (w + 2 * BORDER), 3]``.
    """
    rows, length, height, width, channels = frames.shape
    colours = frames if channels == 3 else frames[..., -1:]
    height, width = height + 2 * BORDER, width + 2 * BORDER
    bordered = np.empty((rows, length, height, width, 3), np.uint8)
    bordered[:, :observed], bordered[:, observed:] = _OBSERVED_COLOUR, _PREDICTED_COLOUR
    bordered[:, :, BORDER:-BORDER, BORDER:-BORDER] = np.rint(colours * 255.0)
    return bordered.swapaxes(1, 2).reshape(rows * height, length * width, 3)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes a picture uint8 ``[height, width, 3]``; creates the directory if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(picture).numpy())
