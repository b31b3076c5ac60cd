"""The model sizes of both variants, and everything else that decides which networks are built."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rllib_dreamerv3.errors import unknown_name
from rllib_dreamerv3.options.option import options_of
from rllib_dreamerv3.options.table import (
    OPTIONS,
    ComputeDtype,
    NetworkOptions,
    Norm,
    Variant,
    VectorMlp,
    WeightInit,
)


@dataclass(frozen=True)
class LayerStyle:
    """How every layer of a network is normalised, initialised and computed.

    Attributes:
        norm: Layer norm (epsilon 1e-3), or root-mean-square norm (epsilon 1e-4, no offset).
        hidden_bias: Whether a layer that a norm follows has a bias.
        weight_init: By the mean of inputs and outputs (2023 code), or by the inputs (2025 code).
        compute_dtype: Of the large products and convolutions; parameters are float32 always.
    """

    norm: Norm = "layer"
    hidden_bias: bool = False
    weight_init: WeightInit = "fan_avg"
    compute_dtype: ComputeDtype = "float32"

    def in_float32(self) -> "LayerStyle":
        """The same, computed in float32."""
        return replace(self, compute_dtype="float32")


@dataclass(frozen=True, kw_only=True)
class ModelSettings(NetworkOptions):
    """Everything that decides which networks are built: kinds of layers, and their numbers.

    Attributes:
        compute_dtype: Never "auto", which the algorithm replaces when it starts.
        deterministic: D, units of the recurrent state h.
        categoricals: S, number of categorical distributions in the stochastic state z.
        classes: C, classes of each categorical.
        hidden: Units of the RSSM's own dense layers.
        units: Units of every dense layer in the heads, the actor and the critic.
        prior_layers: Hidden layers of the prior.
        reward_layers: Dense layers of the reward head.
        continue_layers: Dense layers of the continue head.
        actor_layers: Dense layers of the actor.
        critic_layers: Dense layers of the critic.
        vector_units: Units of the encoder's and decoder's MLP for vectors.
        vector_layers: Layers of the encoder's and decoder's MLP for vectors.
        cnn_depth: d, the unit of channels in the CNNs.
        ensemble: One-step models for exploration; 0 without exploration.
    """

    compute_dtype: ComputeDtype = "float32"
    deterministic: int
    categoricals: int
    classes: int
    hidden: int
    units: int
    prior_layers: int
    reward_layers: int
    continue_layers: int
    actor_layers: int
    critic_layers: int
    vector_units: int
    vector_layers: int
    cnn_depth: int
    ensemble: int = 0

    @property
    def stochastic(self) -> int:
        """S * C, width of the flattened one-hot z."""
        return self.categoricals * self.classes

    @property
    def feature(self) -> int:
        """D + S * C, width of the model state that every head reads."""
        return self.deterministic + self.stochastic

    @property
    def symlog_vectors(self) -> bool:
        """Whether vector observations pass through symlog."""
        return self.symlog_obs is not False

    @property
    def style(self) -> LayerStyle:
        """What each layer needs to know."""
        return LayerStyle(self.norm, self.hidden_bias, self.weight_init, self.compute_dtype)


# Name -> (GRU units, CNN depth, dense units, MLP layers, categoricals, classes).
# XS and up: arXiv 2301.04104v1, table B.1; the four below XS exist in RLlib only.
_V1_SIZES: dict[str, tuple[int, int, int, int, int, int]] = {
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
# Name -> (GRU units, dense units); CNN depth and classes are a sixteenth of the latter (2025 code).
_V2_SIZES: dict[str, tuple[int, int]] = {
    "1M": (512, 64),
    "12M": (2048, 256),
    "25M": (3072, 384),
    "50M": (4096, 512),
    "100M": (6144, 768),
    "200M": (8192, 1024),
    "400M": (12288, 1536),
}
_V2_CATEGORICALS = 32

MODEL_SIZES: tuple[str, ...] = (*_V1_SIZES, *_V2_SIZES)

# The 2023 code leaves the MLPs for vectors at this width, whatever the model size.
_AUTHORS_VECTOR_UNITS, _AUTHORS_VECTOR_LAYERS = 1024, 5


def variant_of(model_size: str, variant: Variant | None = None) -> Variant:
    """The variant that a size stands for, unless another one is asked for.

    Raises:
        ConfigError: If there is no such size or variant.
    """
    if model_size not in MODEL_SIZES:
        raise unknown_name("model_size", str(model_size), MODEL_SIZES)
    OPTIONS["variant"].check(variant)
    if variant is not None:
        return variant
    return "v1" if model_size in _V1_SIZES else "v2"


def model_settings(
    model_size: str,
    variant: Variant | None = None,
    *,
    vector_mlp: VectorMlp = "scaled",
    **options: Any,
) -> ModelSettings:
    """Look up a model size.

    Numbers of units and layers belong to the size, kinds of layers to the variant.

    Args:
        model_size: One of :data:`MODEL_SIZES`.
        variant: "v1" or "v2"; None for the one that the size was published with.
        vector_mlp: ``"scaled"`` gives the encoder's and decoder's MLP for vectors the units and
            layers of the model size, as RLlib and the 2025 code do; ``"authors"`` gives them
            5 x 1024 at every size, as the 2023 code does. Deviation: scaled is the default,
            because 5 x 1024 costs more than the rest of a small model.
        **options: Fields of :class:`ModelSettings` that differ from the size's and the variant's.

    Returns:
        The settings from which the networks are built.

    Raises:
        ConfigError: If a name is unknown, or an option cannot have its value.
    """
    variant = variant_of(model_size, variant)
    OPTIONS["vector_mlp"].check(vector_mlp)
    kinds = options_of(NetworkOptions)
    for name in kinds.keys() & options.keys():
        kinds[name].check(options[name])
    defaults = {name: row.default(variant) for name, row in kinds.items()}
    sizes = _v1_size(model_size) if model_size in _V1_SIZES else _v2_size(model_size)
    if vector_mlp == "authors":
        sizes |= {"vector_units": _AUTHORS_VECTOR_UNITS, "vector_layers": _AUTHORS_VECTOR_LAYERS}
    settings = sizes | defaults | options
    if settings["compute_dtype"] == "auto":
        settings["compute_dtype"] = "float32"
    return ModelSettings(**settings)


def settings_of(options: Mapping[str, Any]) -> ModelSettings:
    """Look up the settings that a config's options stand for.

    Args:
        options: All of them by name; None where the variant decides. Others are ignored.

    Returns:
        The settings from which the networks are built.

    Raises:
        ConfigError: If a name is unknown, or an option cannot have its value.
        KeyError: If the model size, the variant or ``vector_mlp`` is missing.
    """
    kinds = {x: options[x] for x in options_of(NetworkOptions) if options.get(x) is not None}
    return model_settings(
        options["model_size"], options["variant"], vector_mlp=options["vector_mlp"], **kinds
    )


def _v1_size(name: str) -> dict[str, int]:
    deterministic, depth, units, layers, categoricals, classes = _V1_SIZES[name]
    return {
        "deterministic": deterministic,
        "categoricals": categoricals,
        "classes": classes,
        "hidden": units,
        "units": units,
        "prior_layers": 1,
        "reward_layers": layers,
        "continue_layers": layers,
        "actor_layers": layers,
        "critic_layers": layers,
        "vector_units": units,
        "vector_layers": layers,
        "cnn_depth": depth,
    }


def _v2_size(name: str) -> dict[str, int]:
    deterministic, units = _V2_SIZES[name]
    return {
        "deterministic": deterministic,
        "categoricals": _V2_CATEGORICALS,
        "classes": units // 16,
        "hidden": units,
        "units": units,
        "prior_layers": 2,
        "reward_layers": 1,
        "continue_layers": 1,
        "actor_layers": 3,
        "critic_layers": 3,
        "vector_units": units,
        "vector_layers": 3,
        "cnn_depth": units // 16,
    }
