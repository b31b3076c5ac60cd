"""Which boxes are images, how they are read, and how they get a size that the CNN can take.

Images are stretched, not padded: Atari's 210x160 pixels have always been shown to agents as a
square, and a padded border would take up part of every image and of the decoder's capacity.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.table import Cnn
from rllib_dreamerv3.portable.leaves import Image
from rllib_dreamerv3.records import OBS_PREFIX
from rllib_dreamerv3.spaces.layout import fits_cnn, nearest_fitting_sides
from rllib_dreamerv3.spaces.leaves import warn_once

DEFAULT_SIDE = 64
"""Images that do not fit the CNN become as large as this: the size in both papers."""

MIN_GRAY_SIDE = 8
"""A 2-d ``uint8`` box from 0 to 255 is an image from this many pixels a side on, else a vector."""

MIN_MATRIX_SIDE = 32
"""Any other 2-d box with one scale for all elements is an image from this many pixels on."""

MAX_IMAGE_RANGE = 1e6
"""Wider image bounds than this are place-holders, not a scale."""


def is_image(space: spaces.Box) -> bool:
    """Whether a box is read as an image; the rules are those of ``ObservationCodec``."""
    if len(space.shape) != 2:
        return len(space.shape) == 3
    low, high = float(space.low.flat[0]), float(space.high.flat[0])
    if not ((space.low == low).all() and (space.high == high).all()):
        return False
    if space.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return min(space.shape) >= MIN_GRAY_SIDE
    return min(space.shape) >= MIN_MATRIX_SIDE and 0.0 < high - low <= MAX_IMAGE_RANGE


def image_of(space: spaces.Box, path: str) -> Image:
    """The leaf of a box that :func:`is_image`, in the size in which the environment returns it."""
    first = len(space.shape) == 3 and _channels_first(space.shape)
    shape = space.shape if len(space.shape) == 3 else (*space.shape, 1)
    height, width, channels = (*shape[1:], shape[0]) if first else shape
    low, high = float(space.low.min()), float(space.high.max())
    key = OBS_PREFIX + (path or "image")
    if not space.is_bounded() or high - low > MAX_IMAGE_RANGE:
        warn_once(
            f"The image {key!r} has no usable bounds ({space}): it is read as {height}x{width} "
            f"pixels of {channels} channels (the {'first' if first else 'last'} axis), and its "
            f"values are taken to be in [0, 1]. If they are not, give its Box finite bounds."
        )
        low, high = 0.0, 1.0
    elif high <= low:
        high = low + 1.0
    dtype = "uint8" if space.dtype in (np.uint8, np.bool_) else "float32"
    return Image(key, height, width, channels, low, high, dtype, space.shape, first)


def fit_to_cnn(images: Sequence[Image], image_size: int | None, cnn: Cnn) -> list[Image]:
    """Give all images one size that the CNN can take.

    If the size is chosen here, log once what is resized.

    Args:
        images: As the environment returns them.
        image_size: Pixels a side; None leaves the images as they are if all have one size and
            the CNN can take it, and otherwise chooses 64.
        cnn: The kind of CNN.

    Returns:
        The same images, with their new sizes.

    Raises:
        ConfigError: If the CNN cannot take ``image_size``; names the nearest sizes that it can.
    """
    if image_size is not None:
        _check_image_size(image_size, cnn)
    sizes = {image.size_in_env for image in images}
    fits = len(sizes) == 1 and all(h == w and fits_cnn(h, cnn) for h, w in sizes)
    if image_size is None and (fits or not images):
        return list(images)
    side = DEFAULT_SIDE if image_size is None else image_size
    resized = [image for image in images if image.size_in_env != (side, side)]
    if resized and image_size is None:
        sizes_said = ", ".join(
            "{!r} from {}x{}".format(image.key, *image.size_in_env) for image in resized
        )
        warn_once(
            f"Images are resized to {side}x{side} for the CNN: {sizes_said} (height x width; "
            f"stretched, where that is not square). The option image_size sets another size."
        )
    return [replace(image, height=side, width=side) for image in images]


def _channels_first(shape: tuple[int, ...]) -> bool:
    first, middle, last = shape
    # Most images are square.
    if (first == middle) != (middle == last):
        return middle == last
    if first <= 4 or last <= 4:
        return last > 4
    return 2 * first < min(middle, last)


def _check_image_size(image_size: int, cnn: Cnn) -> None:
    if not isinstance(image_size, int) or isinstance(image_size, bool) or image_size < 1:
        raise ConfigError(
            f"image_size must be a number of pixels or None (chosen by the images), not "
            f"{image_size!r}."
        )
    if not fits_cnn(image_size, cnn):
        nearest = " or ".join(str(side) for side in nearest_fitting_sides(image_size, cnn))
        rule = (
            "a power of two of at least 8"
            if cnn == "strided"
            else "a multiple of 16 from 48 to 256"
        )
        raise ConfigError(
            f"image_size={image_size} is not a size that the CNN of this model can take: it must "
            f"be {rule}. The nearest: {nearest}."
        )
