"""What differs between the two published versions of DreamerV3, choice by choice.

``v1`` is arXiv 2301.04104v1 with the authors' code of 2023, ``v2`` the revision in Nature (2025)
with their code of 2025. Nothing else in the package knows of variants: each row of these tables is
an option of the config, and networks, losses and replay read the options.
"""

from typing import Any, Literal

Variant = Literal["v1", "v2"]
SequenceModel = Literal["gru", "block_gru"]
Norm = Literal["layer", "rms"]
WeightInit = Literal["fan_avg", "fan_in"]
Cnn = Literal["strided", "pooled"]
"""How the CNN reduces the resolution, which decides what image sizes it can take.

"strided" (2023 code) halves an image until it is 4x4: square images whose side is a power of two
of at least 8 pixels. "pooled" (2025 code) halves it exactly four times, to 3x3 at least and 16x16
at most: square images whose side is a multiple of 16 from 48 to 256 pixels.
"""
InitialState = Literal["learned", "zeros"]
DiscreteObservations = Literal["vector", "categorical"]
TwoHotBins = Literal["symlog", "symexp"]
ImaginedContinues = Literal["mode", "probability"]
OptimizerType = Literal["adam", "laprop"]

CHOICES: dict[str, tuple[str, ...]] = {
    "variant": ("v1", "v2"),
    "sequence_model": ("gru", "block_gru"),
    "norm": ("layer", "rms"),
    "weight_init": ("fan_avg", "fan_in"),
    "cnn": ("strided", "pooled"),
    "initial_state": ("learned", "zeros"),
    "discrete_observations": ("vector", "categorical"),
    "two_hot_bins": ("symlog", "symexp"),
    "imagined_continues": ("mode", "probability"),
    "optimizer_type": ("adam", "laprop"),
    "actor_grad": ("auto", "reinforce", "dynamics"),
    "compute_dtype": ("float32", "bfloat16"),
    "evaluation_action": ("sample", "mode"),
}
"""What each option of names may be."""

# Option -> (v1, v2).
_NETWORKS: dict[str, tuple[Any, Any]] = {
    "sequence_model": ("gru", "block_gru"),
    "norm": ("layer", "rms"),
    "hidden_bias": (False, True),
    "weight_init": ("fan_avg", "fan_in"),
    "actor_output_scale": (1.0, 0.01),
    "cnn": ("strided", "pooled"),
    "initial_state": ("learned", "zeros"),
    "discrete_observations": ("vector", "categorical"),
}
_TRAINING: dict[str, tuple[Any, Any]] = {
    "two_hot_bins": ("symlog", "symexp"),
    "discount_in_continue": (False, True),
    "imagined_continues": ("mode", "probability"),
    "actor_grad": ("auto", "reinforce"),
    "dynamics_loss_scale": (0.5, 1.0),
    "replay_critic_scale": (0.0, 0.3),
    "optimizer_type": ("adam", "laprop"),
    "replay_context": (0, 1),
    "online_queue": (False, True),
    "random_prefill": (True, False),
    "replay_capacity": (1_000_000, 5_000_000),
}

NETWORK_OPTIONS = tuple(_NETWORKS)
"""The options among them that decide which networks are built."""

VARIANT_DEFAULTS: dict[str, dict[str, Any]] = {
    variant: {name: values[i] for name, values in (_NETWORKS | _TRAINING).items()}
    for i, variant in enumerate(("v1", "v2"))
}
"""Variant -> option -> default."""
