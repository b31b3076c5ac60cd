"""How many parameters a model has for given spaces."""

import gymnasium as gym

from rllib_dreamerv3.model_sizes import VectorMlp, model_settings
from rllib_dreamerv3.module.model import DreamerModel
from rllib_dreamerv3.sampling.spaces import ActionCodec, ObservationCodec


def count_parameters(
    model_size: str,
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    vector_mlp: VectorMlp = "scaled",
) -> dict[str, int]:
    """Counts the trained parameters of a model, by building it.

    Args:
        model_size: One of ``model_sizes.MODEL_SIZES``, e.g. ``"XS"``.
        observation_space: Of one environment.
        action_space: Of one environment.
        vector_mlp: See ``model_sizes.model_settings``.

    Returns:
        Number of parameters of ``encoder``, ``rssm``, ``decoder``, ``reward``, ``continue``,
        ``actor`` and ``critic``, and their ``total``. The slow critic, a copy, is not counted.

    Raises:
        ConfigError: If there is no such size or ``vector_mlp``.
        SpaceError: If DreamerV3 cannot learn from a space.
    """
    settings = model_settings(model_size, vector_mlp=vector_mlp)
    observations, actions = ObservationCodec(observation_space), ActionCodec(action_space)
    return DreamerModel(observations.layout, actions.layout, settings).count_parameters()
