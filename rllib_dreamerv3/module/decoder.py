"""Decoder: model states to predicted observations (arXiv 2301.04104v1, appendix B; 2023 code)."""

import tensorflow as tf

from rllib_dreamerv3.layout import ObservationLayout
from rllib_dreamerv3.model_sizes import ModelSettings
from rllib_dreamerv3.module.encoder import SMALLEST_SIDE, cnn_stages, vector_width
from rllib_dreamerv3.module.latent import State, StateLinear, StateMlp
from rllib_dreamerv3.module.layers import ConvUp, Linear, Rng, output_init


class Decoder(tf.Module):
    """Transposed CNN for images, MLP for everything else. Predicts means; nothing is sampled."""

    def __init__(self, layout: ObservationLayout, settings: ModelSettings, rng: Rng):
        """Creates the networks that the layout needs."""
        super().__init__()
        self._layout = layout
        self.stem: StateLinear | None = None
        self.convolutions: list[ConvUp] = []
        self.mlp: StateMlp | None = None
        self.outputs: list[Linear] = []
        if layout.images:
            stages = cnn_stages(layout.images)
            depth = settings.cnn_depth * 2 ** (stages - 1)
            self.stem = StateLinear(settings, SMALLEST_SIDE**2 * depth, rng, output_init)
            for _ in range(stages - 1):
                self.convolutions.append(ConvUp(depth, depth // 2, rng))
                depth //= 2
            channels = sum(image.channels for image in layout.images)
            self.convolutions.append(ConvUp(depth, channels, rng, last=True))
        if layout.vectors:
            units = settings.vector_units
            self.mlp = StateMlp(settings, units, settings.vector_layers, rng)
            self.outputs = [
                Linear(units, vector_width(leaf), rng, output_init) for leaf in layout.vectors
            ]

    def __call__(self, state: State) -> dict[str, tf.Tensor]:
        """Predicts every observation column.

        Args:
            state: ``[N, ...]``.

        Returns:
            Key -> images float32 ``[N, h, w, c]``, nominally in [0, 1] but not squashed; vectors
            float32 ``[N, width]`` as ``vector_target`` gives them.
        """
        predictions: dict[str, tf.Tensor] = {}
        if self.stem is not None:
            x = self.stem(state)
            side = SMALLEST_SIDE
            x = tf.reshape(x, [-1, side, side, x.shape[-1] // side**2])
            for convolution in self.convolutions:
                x = convolution(x)
            parts = tf.split(x + 0.5, [image.channels for image in self._layout.images], -1)
            predictions.update(zip((i.key for i in self._layout.images), parts, strict=True))
        if self.mlp is not None:
            hidden = self.mlp(state)
            for leaf, output in zip(self._layout.vectors, self.outputs, strict=True):
                predictions[leaf.key] = output(hidden)
        return predictions
