"""A dream as a video: truth, reconstruction, imagination and error side by side."""

import numpy as np

from rllib_dreamerv3.reports.dreams import Dream
from rllib_dreamerv3.reports.pictures import BORDER, as_colours, border_colours, error_of

COLUMNS = ("truth", "reconstruction", "imagination", "error")
# Pixels: minimum width of an image, gap after it, and height of a line of text.
LEAST_SIDE, GAP, LINE = 96, 4, 16
_FONT_SIZE = 12


def video_frames(dream: Dream) -> np.ndarray:
    """Draw one frame for each record.

    The first line of a frame has the step and whether imagination sees it ("context") or not
    ("imagined"); the second has the names of the columns. Below are the sequences, with all images
    of the observation for each. The error is that of imagination.

    Args:
        dream: The dream.

    Returns:
        uint8 ``[T, height, width, 3]``; both sides are even, as required by video codecs.

    Raises:
        ValueError: If the observation has no image.
    """
    if not dream.layout.images:
        raise ValueError("The observation has no image: write plots (.png) instead of a video.")
    scale = _scale(dream)
    borders = border_colours(dream)
    lines = []
    for row in range(len(borders)):
        for image in dream.layout.images:
            truth, imagination = dream.truth[image.key][row], dream.imagination[image.key][row]
            shown = (truth, dream.reconstruction[image.key][row], imagination)
            columns = [as_colours(x) for x in (*shown, error_of(truth, imagination))]
            lines.append(np.concatenate([_tile(x, scale, borders[row]) for x in columns], 2))
    pictures = np.concatenate(lines, 1)
    length, _, width, _ = pictures.shape
    names = np.concatenate([_text(name, width // len(COLUMNS)) for name in COLUMNS], 1)
    steps = [
        _text(f"step {step}  {'context' if step < dream.observed else 'imagined'}", width)
        for step in range(length)
    ]
    header = np.stack([np.concatenate([step, names]) for step in steps])
    frames = np.concatenate([header, pictures], 1)
    return np.pad(frames, [(0, 0), *((0, side % 2) for side in frames.shape[1:3]), (0, 0)])


def _scale(dream: Dream) -> int:
    """Return the enlargement that makes columns wide enough for their names."""
    return -(-LEAST_SIDE // dream.layout.images[0].width)


def _tile(frames: np.ndarray, scale: int, borders: np.ndarray) -> np.ndarray:
    """Enlarge uint8 ``[T, h, w, 3]``, with a border of colours ``[T, 3]`` and a gap after it."""
    large = frames.repeat(scale, 1).repeat(scale, 2)
    length, height, width, _ = large.shape
    tile = np.zeros((length, height + 2 * BORDER + GAP, width + 2 * BORDER + GAP, 3), np.uint8)
    tile[:, :-GAP, :-GAP] = borders[:, None, None]
    tile[:, BORDER : BORDER + height, BORDER : BORDER + width] = large
    return tile


def _text(text: str, width: int) -> np.ndarray:
    """Draw a line of white text on black, uint8 ``[LINE, width, 3]``."""
    # Imported only for videos, to keep the package's start fast.
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("RGB", (width, LINE))
    font = ImageFont.load_default(_FONT_SIZE)
    ImageDraw.Draw(line).text((BORDER, 0), text, fill="white", font=font)
    return np.asarray(line)
