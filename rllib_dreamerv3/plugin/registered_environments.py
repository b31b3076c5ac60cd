"""The environments that are registered with Ray, by users and for them."""

from functools import partial
from typing import Any

from ray.tune.registry import ENV_CREATOR, _global_registry, register_env

from rllib_dreamerv3.envs.named_class import find_maker, make_named
from rllib_dreamerv3.envs.registry import is_benchmark


def is_registered_with_tune(env: Any) -> bool:
    """Whether the user has registered a function under this name with ``register_env``."""
    return isinstance(env, str) and _global_registry.contains(ENV_CREATOR, env)


def register_class(env: str) -> bool:
    """Registers an environment that is named as ``module:Class``, so that all of RLlib knows it.

    Args:
        env: An environment's name. Its module is imported, here and wherever it is made.

    Returns:
        Whether it names a class or function; no for benchmarks and ids of Gymnasium.

    Raises:
        ConfigError: If the module cannot be imported, or has nothing of that name.
    """
    if is_benchmark(env) or find_maker(env) is None:
        return False
    register_env(env, partial(make_named, env))
    return True
