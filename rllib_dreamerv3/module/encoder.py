"""Encoder: observation columns to tokens (arXiv 2301.04104v1, appendix B; 2023 code)."""

import math
from collections.abc import Mapping

import tensorflow as tf

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.layout import Categorical, Image, ObservationLayout, Vector
from rllib_dreamerv3.math.scalars import symlog
from rllib_dreamerv3.model_sizes import ModelSettings
from rllib_dreamerv3.module.layers import ConvDown, Mlp, Rng

# The CNN halves its input until this many pixels a side are left.
SMALLEST_SIDE = 4


def cnn_stages(images: tuple[Image, ...]) -> int:
    """Number of stride-2 stages for these images.

    Raises:
        SpaceError: If the images differ in size, are not square, or their side is not a power of
            two of at least 8 pixels.
    """
    first = images[0]
    for image in images:
        if (image.height, image.width) != (first.height, first.width):
            raise SpaceError(
                f"All images must have one size, because they are stacked on the channel axis: "
                f"{first.key!r} is {first.height}x{first.width} and {image.key!r} is "
                f"{image.height}x{image.width}. Resize them with a Gymnasium wrapper."
            )
    side = first.height
    if first.width != side or side < 2 * SMALLEST_SIDE or side & (side - 1):
        raise SpaceError(
            f"Image {first.key!r} is {first.height}x{first.width}; the CNN takes square images "
            f"whose side is a power of two of at least {2 * SMALLEST_SIDE} pixels. Resize to "
            "64x64, e.g. with gymnasium.wrappers.ResizeObservation."
        )
    return int(math.log2(side // SMALLEST_SIDE))


def scaled_images(layout: ObservationLayout, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """All images ``[n, h, w, sum of channels]`` as float32 in [0, 1]."""
    scaled = []
    for image in layout.images:
        pixels = tf.cast(columns[image.key], tf.float32)
        if image.low:
            pixels -= image.low
        scaled.append(pixels * (1.0 / (image.high - image.low)))
    return tf.concat(scaled, -1) if len(scaled) > 1 else scaled[0]


def vector_width(leaf: Vector | Categorical) -> int:
    """Number of floats by which the networks see a leaf; classes are one-hot."""
    return leaf.size if isinstance(leaf, Vector) else sum(leaf.classes)


def vector_target(leaf: Vector | Categorical, column: tf.Tensor, use_symlog: bool) -> tf.Tensor:
    """A leaf ``[n, ...]`` as the floats ``[n, width]`` that enter the MLP and that it predicts.

    Discrete observations become one-hot vectors, and then vectors like any other. Neither the
    2023 paper nor its code has a path for them.
    """
    if isinstance(leaf, Vector):
        values = tf.cast(column, tf.float32)
    else:
        components = tf.unstack(column, axis=-1)
        one_hots = [tf.one_hot(c, n) for c, n in zip(components, leaf.classes, strict=True)]
        values = tf.concat(one_hots, -1)
    return symlog(values) if use_symlog else values


class Encoder(tf.Module):
    """CNN for images, MLP for everything else; their outputs are concatenated."""

    def __init__(self, layout: ObservationLayout, settings: ModelSettings, rng: Rng):
        """Creates the networks that the layout needs.

        Raises:
            SpaceError: If there are images that the CNN cannot take.
        """
        super().__init__()
        self._layout, self._settings = layout, settings
        self.convolutions: list[ConvDown] = []
        self.mlp: Mlp | None = None
        self.width = 0
        if layout.images:
            channels = sum(image.channels for image in layout.images)
            for stage in range(cnn_stages(layout.images)):
                outputs = settings.cnn_depth * 2**stage
                self.convolutions.append(ConvDown(channels, outputs, rng))
                channels = outputs
            self.width += SMALLEST_SIDE**2 * channels
        if layout.vectors:
            inputs = sum(vector_width(leaf) for leaf in layout.vectors)
            self.mlp = Mlp(inputs, settings.vector_units, settings.vector_layers, rng)
            self.width += settings.vector_units

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Encodes observation columns ``[n, ...]`` to tokens ``[n, E]``."""
        tokens = []
        if self.convolutions:
            x = scaled_images(self._layout, columns) - 0.5
            for convolution in self.convolutions:
                x = convolution(x)
            tokens.append(tf.reshape(x, [-1, SMALLEST_SIDE**2 * x.shape[-1]]))
        if self.mlp is not None:
            symlog_vectors = self._settings.symlog_vectors
            vectors = [
                vector_target(leaf, columns[leaf.key], symlog_vectors)
                for leaf in self._layout.vectors
            ]
            tokens.append(self.mlp(tf.concat(vectors, -1)))
        return tf.concat(tokens, -1)
