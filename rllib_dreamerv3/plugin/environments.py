"""Makes the environments of an env runner, whatever they are named by."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.tune.registry import ENV_CREATOR, _global_registry

from rllib_dreamerv3.envs.checked import CheckedEnv, failed_call, name_of_env
from rllib_dreamerv3.envs.env_config import unknown_environment
from rllib_dreamerv3.envs.named_class import call_maker
from rllib_dreamerv3.envs.registry import is_benchmark, make_benchmark, vectorize
from rllib_dreamerv3.errors import ConfigError, EnvironmentDataError, EnvironmentFailedError
from rllib_dreamerv3.plugin.announced_spaces import check_spaces
from rllib_dreamerv3.plugin.registered_environments import is_registered_with_tune


def env_context(config: Any, worker_index: int, num_workers: int | None = None) -> EnvContext:
    """What an env runner makes its environments with.

    Args:
        config: Of training or of evaluation.
        worker_index: The env runner's; 0 in the main process.
        num_workers: How many env runners there are; None if that is not known.

    Returns:
        The ``env_config``, with a ``render_mode`` where this env runner is to show them.
    """
    env_config = config.env_config
    first = 1 if config.num_env_runners else 0
    if config.render_env and not config.in_evaluation and worker_index == first:
        env_config = {"render_mode": "human", **env_config}
    return EnvContext(env_config, worker_index, num_workers=num_workers)


def make_environments(config: Any, context: EnvContext) -> VectorEnv:
    """Makes the environments of one env runner; benchmarks get the papers' preprocessing.

    Args:
        config: A config that has been validated.
        context: Its ``env_config``, and which env runner this is.

    Returns:
        ``num_envs_per_env_runner`` environments. Single ones tell what is wrong with them, see
        :class:`CheckedEnv`.

    Raises:
        ConfigError: If there is no environment of that name, its package is missing, or its
            spaces are not those that the config announces.
        EnvironmentDataError: If what was made is no environment.
        EnvironmentFailedError: If it cannot be made.
    """
    try:
        env = _make(config, context)
    except (ConfigError, EnvironmentDataError, EnvironmentFailedError):
        raise
    except gym.error.UnregisteredEnv as error:
        raise unknown_environment(config.env) from error
    except Exception as error:
        given = f" with env_config {dict(context)}" if context else ""
        raise failed_call(f"Making {name_of_env(config.env)}{given}", error) from error
    check_spaces(config, env)
    return env


def _make(config: Any, context: EnvContext) -> VectorEnv:
    n, mode = config.num_envs_per_env_runner, gym.VectorizeMode(config.gym_env_vectorize_mode)
    if is_benchmark(config.env) and not is_registered_with_tune(config.env):
        return make_benchmark(config.env, n, context, mode)
    if mode == gym.VectorizeMode.VECTOR_ENTRY_POINT:
        creator = _creator(config.env)
        if creator is not None:
            return creator(EnvContext(context | {"num_envs": n}, context.worker_index))
        return gym.make_vec(config.env, n, vectorization_mode=mode, **context)
    contexts = [context.copy_with_overrides(vector_index=i) for i in range(n)]
    makers = [partial(_make_checked, config.env, its_context) for its_context in contexts]
    return vectorize(makers, mode)


def _make_checked(env: Any, context: EnvContext) -> CheckedEnv:
    return CheckedEnv(make_single(env, context), name_of_env(env))


def make_single(env: Any, context: EnvContext) -> gym.Env:
    """Makes one environment that is no benchmark, as it is.

    Args:
        env: A name, a class or a function.
        context: Its ``env_config``.

    Returns:
        What was made.
    """
    creator = _creator(env)
    if creator is not None:
        made = call_maker(creator, context)
        if isinstance(made, MultiAgentEnv):
            raise EnvironmentDataError(
                f"{name_of_env(env)} is an environment of several agents: DreamerV3 trains one."
            )
        return made
    return gym.make(env, disable_env_checker=True, **context)


def _creator(env: Any) -> Callable[[EnvContext], Any] | None:
    """What RLlib calls to make an environment; None for an id of Gymnasium."""
    if is_registered_with_tune(env):
        return _global_registry.get(ENV_CREATOR, env)
    return env if callable(env) else None
