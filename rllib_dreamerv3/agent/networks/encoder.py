"""Encoder: observation columns to tokens (arXiv 2301.04104v1, appendix B; layers from the code)."""

from collections.abc import Mapping

import tensorflow as tf

from rllib_dreamerv3.agent.networks.cnn import ImageEncoder
from rllib_dreamerv3.agent.networks.layers import Mlp, Rng
from rllib_dreamerv3.agent.networks.observation_values import (
    centred_image,
    image_side,
    vector_value,
    vector_width,
)
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.spaces.layout import ObservationLayout


class Encoder(tf.Module):
    """CNN for images, MLP for everything else; their outputs are concatenated."""

    def __init__(self, layout: ObservationLayout, settings: ModelSettings, rng: Rng):
        """Create the networks that the layout needs.

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
        """Encode observation columns ``[n, ...]`` to tokens ``[n, E]``."""
        tokens = []
        if self.cnn is not None:
            images = [
                centred_image(columns[i.key], i.low, i.high, self._settings.compute_dtype)
                for i in self._layout.images
            ]
            tokens.append(self.cnn(tf.concat(images, -1)))
        if self.mlp is not None:
            vectors = [
                vector_value(leaf, columns[leaf.key], self._settings)
                for leaf in self._layout.vectors
            ]
            tokens.append(self.mlp(tf.concat(vectors, -1)))
        return tf.concat(tokens, -1)
