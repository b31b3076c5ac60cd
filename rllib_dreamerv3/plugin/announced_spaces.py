"""What a config says of the spaces of its environment, against what they are."""

from typing import Any

from gymnasium import spaces
from gymnasium.vector import VectorEnv

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.records import ACTION_MASK


def check_spaces(config: Any, env: VectorEnv) -> None:
    """Checks ``observation_space``, ``action_space`` and ``action_mask_key``.

    Args:
        config: A config, which may leave all of them as they are.
        env: Its environments.

    Raises:
        ConfigError: If the environment has another space, or no action mask of that name.
    """
    for name in ("observation_space", "action_space"):
        announced, found = getattr(config, name), getattr(env, f"single_{name}")
        if announced is not None and announced != found:
            raise ConfigError(
                f"{name} is {announced} in the config, but {found} in the environment "
                f"{config.env!r}. Leave it out of the config, which takes that of the environment; "
                "to change it wrap the environment with gymnasium.wrappers."
            )
    key, observed = config.action_mask_key, env.single_observation_space
    keys = list(observed.spaces) if isinstance(observed, spaces.Dict) else []
    if key not in (*keys, ACTION_MASK):
        has = f"has the keys {keys}" if keys else f"is {observed}, no Dict"
        raise ConfigError(
            f"action_mask_key is {key!r}, but the observation space of {config.env!r} {has}. Name "
            "the key of the action mask, or leave the option out."
        )
