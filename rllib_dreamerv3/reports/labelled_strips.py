"""Film strips with what a reader needs: names of the rows, an axis of steps and a legend."""

import numpy as np

from rllib_dreamerv3.records import OBS_PREFIX
from rllib_dreamerv3.reports.dreams import Dream
from rllib_dreamerv3.reports.pictures import (
    BORDER,
    OBSERVED_COLOUR,
    OVER_COLOUR,
    PREDICTED_COLOUR,
    film_strip_of,
)

BANDS = ("truth", "imagination", "error")
# Pixels: width of the rows' names, height of a line of text, and least distance of two steps.
MARGIN, LINE, _STEP_WIDTH = 84, 18, 28
_FONT_SIZE = 12


def labelled_strips(dream: Dream, times: np.ndarray | None = None) -> np.ndarray | None:
    """Draw the film strips of a dream's images, with labels.

    Args:
        dream: The dream.
        times: The records to draw; by default all.

    Returns:
        A picture uint8 ``[height, width, 3]``. Each image of the observation has a line with its
        name and the steps, then its film strip; the last line is the legend. None if there is no
        image.
    """
    # Imported only for pictures, to keep the package's start fast.
    from PIL import Image as Canvas
    from PIL import ImageDraw, ImageFont

    if not dream.layout.images:
        return None
    steps = np.arange(dream.is_first.shape[1])
    steps = steps if times is None else steps[times]
    strips = [film_strip_of(dream, image, steps) for image in dream.layout.images]
    legend = (
        (OBSERVED_COLOUR, "context"),
        (PREDICTED_COLOUR, "imagined"),
        (OVER_COLOUR, "after the episode's end"),
        (None, "error: gray where imagination equals truth"),
    )
    font = ImageFont.load_default(_FONT_SIZE)
    lengths = [round(font.getlength(text)) + 2 * LINE for _, text in legend]
    width = MARGIN + max(sum(lengths), *(strip.shape[1] for strip in strips))
    height = sum(LINE + len(strip) for strip in strips) + LINE
    canvas = Canvas.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)

    def write(x: int, y: int, text: str) -> None:
        draw.text((x, y), text, fill="black", font=font)

    top = 0
    for image, strip in zip(dream.layout.images, strips, strict=True):
        several = len(strips) > 1
        write(BORDER, top, image.key.removeprefix(OBS_PREFIX)[:12] if several else "step")
        frame = strip.shape[1] // len(steps)
        every = -(-_STEP_WIDTH // frame)
        for position in range(0, len(steps), every):
            write(MARGIN + position * frame + BORDER, top, str(steps[position]))
        top += LINE
        canvas.paste(Canvas.fromarray(strip), (MARGIN, top))
        row = len(strip) // len(dream.is_first)
        band = (row - 2 * BORDER) // len(BANDS)
        for start in range(top, top + len(strip), row):
            for number, name in enumerate(BANDS):
                write(BORDER, start + BORDER + number * band, name)
        top += len(strip)
    left = MARGIN
    for (colour, text), length in zip(legend, lengths, strict=True):
        if colour is not None:
            draw.rectangle((left, top + 5, left + 8, top + 13), outline=colour, width=BORDER)
        write(left + (LINE - 4 if colour else 0), top + 2, text)
        left += length
    return np.asarray(canvas)
