"""The environments that are registered with Ray, by users and for them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
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


def register_spec(env: str) -> None:
    """Lets Ray's processes know an id that this process alone has registered with Gymnasium.

    They import neither the user's script nor the packages that it imports. Ids that Gymnasium
    itself brings, and benchmarks, are known everywhere.

    Args:
        env: An environment's name, of whatever kind.
    """
    spec = gym.registry.get(env)
    if spec is None or is_benchmark(env) or _is_gymnasiums(spec):
        return
    # A name that the user has given to register_env means that.
    if not is_registered_with_tune(env) or _is_spec(_global_registry.get(ENV_CREATOR, env)):
        register_env(env, partial(_make_spec, spec))


def _is_gymnasiums(spec: EnvSpec) -> bool:
    return isinstance(spec.entry_point, str) and spec.entry_point.startswith("gymnasium.")


def _is_spec(creator: Any) -> bool:
    return isinstance(creator, partial) and creator.func is _make_spec


def _make_spec(spec: EnvSpec, env_config: Mapping[str, Any]) -> gym.Env:
    return gym.make(spec, disable_env_checker=True, **env_config)
