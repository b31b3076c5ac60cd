"""The model sizes of arXiv 2301.04104v1 (appendix B), and RLlib's smaller ones."""

from dataclasses import dataclass
from typing import Literal

from rllib_dreamerv3.errors import unknown_name


@dataclass(frozen=True)
class ModelSettings:
    """Everything that decides which networks are built. Plain numbers, no Ray.

    Attributes:
        deterministic: D, units of the recurrent state h.
        categoricals: S, number of categorical distributions in the stochastic state z.
        classes: C, classes of each categorical.
        hidden: Units of the RSSM's own dense layers.
        units: Units of every dense layer in the heads, the actor and the critic.
        layers: Dense layers of each head, of the actor and of the critic.
        vector_units: Units of the encoder's and decoder's MLP for vectors.
        vector_layers: Layers of the encoder's and decoder's MLP for vectors.
        cnn_depth: Channels of the first convolution; doubled at every stage.
        unimix: Share of the uniform distribution mixed into prior, posterior and actor.
        symlog_vectors: Whether vector observations pass through symlog.
    """

    deterministic: int
    categoricals: int
    classes: int
    hidden: int
    units: int
    layers: int
    vector_units: int
    vector_layers: int
    cnn_depth: int
    unimix: float = 0.01
    symlog_vectors: bool = True

    @property
    def stochastic(self) -> int:
        """S * C, width of the flattened one-hot z."""
        return self.categoricals * self.classes

    @property
    def feature(self) -> int:
        """D + S * C, width of the model state that every head reads."""
        return self.deterministic + self.stochastic


# Name -> (GRU units, CNN depth, dense units, MLP layers, categoricals, classes).
# XS and up: arXiv 2301.04104v1, table B.1; the four below XS exist in RLlib only.
_SIZES: dict[str, tuple[int, int, int, int, int, int]] = {
    "nano": (16, 2, 16, 1, 4, 4),
    "micro": (32, 4, 32, 1, 8, 8),
    "mini": (64, 8, 64, 1, 16, 16),
    "XXS": (128, 16, 128, 1, 32, 32),
    "XS": (256, 24, 256, 1, 32, 32),
    "S": (512, 32, 512, 2, 32, 32),
    "M": (1024, 48, 640, 3, 32, 32),
    "L": (2048, 64, 768, 4, 32, 32),
    "XL": (4096, 96, 1024, 5, 32, 32),
}

MODEL_SIZES: tuple[str, ...] = tuple(_SIZES)

VectorMlp = Literal["scaled", "authors"]
# The 2023 code leaves the MLPs for vectors at this width, whatever the model size.
_AUTHORS_VECTOR_UNITS, _AUTHORS_VECTOR_LAYERS = 1024, 5


def model_settings(
    model_size: str,
    *,
    vector_mlp: VectorMlp = "scaled",
    unimix: float = 0.01,
    symlog_vectors: bool = True,
) -> ModelSettings:
    """Looks up a model size.

    Args:
        model_size: One of :data:`MODEL_SIZES`.
        vector_mlp: ``"scaled"`` gives the encoder's and decoder's MLP for vectors the units and
            layers of the model size, as RLlib does; ``"authors"`` gives them 5 x 1024 at every
            size, as the 2023 code does. Deviation: scaled is the default, because 5 x 1024 costs
            more than the rest of a small model.
        unimix: See :class:`ModelSettings`.
        symlog_vectors: See :class:`ModelSettings`.

    Returns:
        The settings from which the networks are built.

    Raises:
        ConfigError: If there is no such size or no such ``vector_mlp``.
    """
    if model_size not in _SIZES:
        raise unknown_name("model_size", str(model_size), _SIZES)
    if vector_mlp not in ("scaled", "authors"):
        raise unknown_name("vector_mlp", str(vector_mlp), ("scaled", "authors"))
    deterministic, depth, units, layers, categoricals, classes = _SIZES[model_size]
    authors = vector_mlp == "authors"
    return ModelSettings(
        deterministic=deterministic,
        categoricals=categoricals,
        classes=classes,
        hidden=units,
        units=units,
        layers=layers,
        vector_units=_AUTHORS_VECTOR_UNITS if authors else units,
        vector_layers=_AUTHORS_VECTOR_LAYERS if authors else layers,
        cnn_depth=depth,
        unimix=unimix,
        symlog_vectors=symlog_vectors,
    )
