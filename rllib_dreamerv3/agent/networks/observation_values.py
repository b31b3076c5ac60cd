"""What stored observation columns become for the networks: encoder inputs and decoder targets.

Images are scaled by their bounds; they enter the encoder in [-0.5, 0.5] and are predicted in
[0, 1]. Vectors and classes are floats that are the same for both.
"""

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import only_plain_operations
from rllib_dreamerv3.agent.math.scalars import symexp, symlog
from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.table import Cnn, ComputeDtype
from rllib_dreamerv3.spaces.layout import (
    Categorical,
    Image,
    Vector,
    fits_cnn,
    nearest_fitting_sides,
)


def image_side(images: tuple[Image, ...], cnn: Cnn) -> int:
    """Height and width, in pixels, of all images, which the CNN sees stacked on the channel axis.

    Raises:
        SpaceError: If the images differ in size, are not square, or the CNN cannot take them.
    """
    first = images[0]
    for image in images:
        if (image.height, image.width) != (first.height, first.width):
            raise SpaceError(
                f"All images must have one size, because they are stacked on the channel axis: "
                f"{first.key!r} is {first.height}x{first.width} and {image.key!r} is "
                f"{image.height}x{image.width}. Set image_size to resize them all."
            )
    side = first.height
    if first.width != side or not fits_cnn(side, cnn):
        sizes = " or ".join(map(str, nearest_fitting_sides(side, cnn)))
        raise SpaceError(
            f"Image {first.key!r} is {first.height}x{first.width}, which the {cnn} CNN cannot "
            f"take. Set image_size to {sizes} to resize it."
        )
    return side


def centred_image(pixels: tf.Tensor, low: float, high: float, dtype: ComputeDtype) -> tf.Tensor:
    """Encoder input: stored pixels ``[n, h, w, c]`` from [low, high] to [-0.5, 0.5]."""
    compute = _centred_image if only_plain_operations() else _compiled_centred_image
    return compute(pixels, low, high, dtype)


def _centred_image(pixels: tf.Tensor, low: float, high: float, dtype: ComputeDtype) -> tf.Tensor:
    centred = tf.cast(pixels, tf.float32) - 0.5 * (low + high)
    return tf.cast(centred * (1.0 / (high - low)), dtype)


_compiled_centred_image = tf.function(_centred_image, jit_compile=True, autograph=False)


def unit_image(pixels: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Decoder target: stored pixels ``[n, h, w, c]`` from [low, high] to float32 in [0, 1]."""
    return (tf.cast(pixels, tf.float32) - low) * (1.0 / (high - low))


def vector_width(leaf: Vector | Categorical) -> int:
    """Width of `vector_value`: the vector's own, or the sum of the numbers of classes."""
    return leaf.size if isinstance(leaf, Vector) else sum(leaf.classes)


def vector_value(
    leaf: Vector | Categorical, column: tf.Tensor, settings: ModelSettings
) -> tf.Tensor:
    """Encoder input and decoder target of a column that is no image.

    Vectors pass through symlog; classes become one-hot vectors, which do so too unless they are
    predicted as classes (2025 code). The 2023 paper and code have no path for classes.

    Args:
        leaf: The part of the observation.
        column: As stored, ``[n, size]`` or int ``[n, components]``.
        settings: Whether there is a symlog, and how classes are predicted.

    Returns:
        float32 ``[n, width]``.
    """
    if isinstance(leaf, Vector):
        values = tf.cast(column, tf.float32)
    else:
        components = tf.unstack(column, axis=-1)
        one_hots = [tf.one_hot(c, n) for c, n in zip(components, leaf.classes, strict=True)]
        values = tf.concat(one_hots, -1)
        if settings.discrete_observations == "categorical":
            return values
    return symlog(values) if settings.symlog_vectors else values


def predicted_column(
    leaf: Vector | Categorical, prediction: tf.Tensor, settings: ModelSettings
) -> tf.Tensor:
    """What the decoder says that a column holds; the inverse of `vector_value`.

    Args:
        leaf: The part of the observation.
        prediction: Of the decoder, float32 ``[n, width]``.
        settings: Whether there is a symlog.

    Returns:
        As stored: float32 ``[n, size]``, or the likeliest classes int32 ``[n, components]``.
    """
    if isinstance(leaf, Vector):
        return symexp(prediction) if settings.symlog_vectors else prediction
    components = tf.split(prediction, leaf.classes, -1)
    return tf.stack([tf.argmax(x, -1, tf.int32) for x in components], -1)
