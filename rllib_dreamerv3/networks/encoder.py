"""Encoder: observation columns to tokens (arXiv 2301.04104v1, appendix B; layers from the code)."""

from collections.abc import Mapping

import tensorflow as tf

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.math.scalars import symlog
from rllib_dreamerv3.networks.cnn import ImageEncoder
from rllib_dreamerv3.networks.layers import Mlp, Rng
from rllib_dreamerv3.options.model_sizes import ComputeDtype, ModelSettings
from rllib_dreamerv3.spaces.layout import (
    Categorical,
    Cnn,
    Image,
    ObservationLayout,
    Vector,
    fits_cnn,
    nearest_fitting_sides,
)


def image_side(images: tuple[Image, ...], cnn: Cnn) -> int:
    """Pixels a side of all images together.

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


@tf.function(jit_compile=True, autograph=False)
def centred_image(pixels: tf.Tensor, low: float, high: float, dtype: ComputeDtype) -> tf.Tensor:
    """Stored pixels ``[n, h, w, c]`` as numbers of ``dtype`` in [-0.5, 0.5]."""
    centred = tf.cast(pixels, tf.float32) - 0.5 * (low + high)
    return tf.cast(centred * (1.0 / (high - low)), dtype)


def vector_width(leaf: Vector | Categorical) -> int:
    """Number of floats by which the networks see a leaf; classes are one-hot."""
    return leaf.size if isinstance(leaf, Vector) else sum(leaf.classes)


def vector_target(
    leaf: Vector | Categorical, column: tf.Tensor, settings: ModelSettings
) -> tf.Tensor:
    """A leaf ``[n, ...]`` as the floats ``[n, width]`` that enter the MLP and that it predicts.

    Classes become one-hot vectors. They pass through symlog like all other numbers, or not where
    they are predicted as classes (2025 code). The 2023 paper and code have no path for them.
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


class Encoder(tf.Module):
    """CNN for images, MLP for everything else; their outputs are concatenated."""

    def __init__(self, layout: ObservationLayout, settings: ModelSettings, rng: Rng):
        """Creates the networks that the layout needs.

        Raises:
            SpaceError: If there are images that the CNN cannot take.
        """
        super().__init__()
        self._layout, self._settings = layout, settings
        self.cnn: ImageEncoder | None = None
        self.mlp: Mlp | None = None
        self.width = 0
        if layout.images:
            side = image_side(layout.images, settings.cnn)
            channels = sum(image.channels for image in layout.images)
            self.cnn = ImageEncoder(settings, side, channels, rng)
            self.width += self.cnn.width
        if layout.vectors:
            inputs = sum(vector_width(leaf) for leaf in layout.vectors)
            units, layers = settings.vector_units, settings.vector_layers
            self.mlp = Mlp(inputs, units, layers, settings.style, rng)
            self.width += units

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Encodes observation columns ``[n, ...]`` to tokens ``[n, E]``."""
        tokens = []
        if self.cnn is not None:
            images = [
                centred_image(columns[i.key], i.low, i.high, self._settings.compute_dtype)
                for i in self._layout.images
            ]
            tokens.append(self.cnn(tf.concat(images, -1)))
        if self.mlp is not None:
            vectors = [
                vector_target(leaf, columns[leaf.key], self._settings)
                for leaf in self._layout.vectors
            ]
            tokens.append(self.mlp(tf.concat(vectors, -1)))
        return tf.concat(tokens, -1)
