"""How many parameters a model has for given spaces."""

from typing import Any

import gymnasium as gym

from rllib_dreamerv3.networks.model import DreamerModel
from rllib_dreamerv3.options.model_sizes import model_settings
from rllib_dreamerv3.options.table import VectorMlp
from rllib_dreamerv3.spaces.codecs import make_codecs


def count_parameters(
    model_size: str,
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    vector_mlp: VectorMlp = "scaled",
    **options: Any,
) -> dict[str, int]:
    """Counts the trained parameters of a model, by building it.

    Args:
        model_size: One of ``model_sizes.MODEL_SIZES``, e.g. ``"XS"`` or ``"12M"``.
        observation_space: Of one environment.
        action_space: Of one environment.
        vector_mlp: See ``model_sizes.model_settings``.
        **options: Likewise, e.g. ``variant="v2"``.

    Returns:
        Number of parameters of ``encoder``, ``rssm``, ``decoder``, ``reward``, ``continue``,
        ``actor`` and ``critic``, and their ``total``. The slow critic, a copy, is not counted.

    Raises:
        ConfigError: If there is no such size or ``vector_mlp``.
        SpaceError: If DreamerV3 cannot learn from a space.
    """
    settings = model_settings(model_size, vector_mlp=vector_mlp, **options)
    observations, actions = make_codecs(observation_space, action_space, cnn=settings.cnn)
    return DreamerModel(observations.layout, actions.layout, settings).count_parameters()
