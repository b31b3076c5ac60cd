"""The environments that users register with Ray."""

from typing import Any

from ray.tune.registry import ENV_CREATOR, _global_registry


def is_registered_with_tune(env: Any) -> bool:
    """Whether the user has registered a function under this name with ``register_env``."""
    return isinstance(env, str) and _global_registry.contains(ENV_CREATOR, env)
