"""Makes the environments of an env runner, whatever names them, and compares their spaces."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.tune.registry import ENV_CREATOR, _global_registry, register_env

from rllib_dreamerv3.envs.checked import CheckedEnv, failed_call, name_of_env
from rllib_dreamerv3.envs.env_config import unknown_environment
from rllib_dreamerv3.envs.named_class import call_maker, find_maker, make_named
from rllib_dreamerv3.envs.registry import is_benchmark, make_benchmark, vectorize
from rllib_dreamerv3.errors import ConfigError, EnvironmentDataError, EnvironmentFailedError
from rllib_dreamerv3.records import ACTION_MASK


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


def autoreset_mode(env: VectorEnv, name: object) -> AutoresetMode:
    """NEXT_STEP or SAME_STEP, as an environment says.

    Args:
        env: The environment; NEXT_STEP if it says nothing.
        name: What it is called.

    Raises:
        ConfigError: It wants to be reset from outside.
    """
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode is AutoresetMode.DISABLED:
        raise ConfigError(
            f"The vector environment {name!r} has AutoresetMode.DISABLED: nobody would reset it. "
            "Make it with AutoresetMode.NEXT_STEP or SAME_STEP, or give a single environment."
        )
    return mode


def last_observations(
    env: VectorEnv, observation: Any, infos: Sequence[dict[str, Any]], ended: np.ndarray
) -> tuple[Any, Sequence[dict[str, Any]]]:
    """What an environment with SAME_STEP has put aside where an episode ended.

    Args:
        env: The environment.
        observation: Of N environments; where an episode ended, the first of the next one.
        infos: Of each of them, where ``final_obs`` and ``final_info`` are to be found.
        ended: Where an episode ended, ``[N]`` bool.

    Returns:
        Observations and infos of the episodes that were going on, new or as they were given.

    Raises:
        EnvironmentDataError: An observation is missing.
    """
    observations = list(iterate(env.observation_space, observation))
    infos = list(infos)
    for i in np.flatnonzero(ended):
        if infos[i].get("final_obs") is None:
            raise EnvironmentDataError(
                f"Environment {i} has ended an episode and reset itself in the same step "
                "(AutoresetMode.SAME_STEP), but its info has no 'final_obs', the episode's last "
                "observation."
            )
        observations[i] = infos[i]["final_obs"]
        infos[i] = infos[i].get("final_info", {})
    out = create_empty_array(env.single_observation_space, len(observations))
    return concatenate(env.single_observation_space, observations, out), infos


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
