"""Decoder: model states to predicted observations (arXiv 2301.04104v1, appendix B)."""

import tensorflow as tf

from rllib_dreamerv3.agent.networks.cnn import ImageDecoder
from rllib_dreamerv3.agent.networks.layers import Linear, Rng, output_init
from rllib_dreamerv3.agent.networks.observation_values import image_side, vector_width
from rllib_dreamerv3.agent.networks.state import State, StateMlp
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.spaces.layout import ObservationLayout


class Decoder(tf.Module):
    """Transposed CNN for images, MLP for everything else; predicts means, samples nothing."""

    def __init__(self, layout: ObservationLayout, settings: ModelSettings, rng: Rng):
        """Create the networks; raise SpaceError for images that the CNN cannot take."""
        super().__init__()
        self._layout = layout
        self.cnn: ImageDecoder | None = None
        self.mlp: StateMlp | None = None
        self.outputs: list[Linear] = []
        if layout.images:
            side = image_side(layout.images, settings.cnn)
            channels = sum(image.channels for image in layout.images)
            self.cnn = ImageDecoder(settings, side, channels, rng)
        if layout.vectors:
            units, init = settings.vector_units, output_init(settings.style)
            self.mlp = StateMlp(settings, units, settings.vector_layers, rng)
            self.outputs = [Linear(units, vector_width(leaf), rng, init) for leaf in layout.vectors]

    def smallest_image(self, state: State) -> tf.Tensor | None:
        """Input of the CNN's stages, ``State [N] -> [N, s, s, depth]``; None without images."""
        return None if self.cnn is None else self.cnn.stem(state)

    def __call__(
        self, state: State, smallest_image: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Predict all observation columns.

        Args:
            state: ``[N, ...]``.
            smallest_image: :meth:`smallest_image` of the state, if it has been computed already.

        Returns:
            Key -> image float32 ``[N, h, w, c]``, nominally in [0, 1], or float32 ``[N, width]``:
            the mean of `vector_value`, or logits for classes that are predicted as classes.
        """
        predictions: dict[str, tf.Tensor] = {}
        if self.cnn is not None:
            if smallest_image is None:
                smallest_image = self.smallest_image(state)
            images = self.cnn(smallest_image)
            parts = tf.split(images, [i.channels for i in self._layout.images], -1)
            predictions.update(zip((i.key for i in self._layout.images), parts, strict=True))
        if self.mlp is not None:
            hidden = self.mlp(state)
            for leaf, output in zip(self._layout.vectors, self.outputs, strict=True):
                predictions[leaf.key] = output(hidden)
        return predictions
