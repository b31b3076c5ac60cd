"""Creates the environments of an env runner from a name, class or function; checks their spaces."""

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

from rllib_dreamerv3.envs.checked import CheckedEnv, failed_call, name_of_env, require_environment
from rllib_dreamerv3.envs.env_config import unknown_environment
from rllib_dreamerv3.envs.infos import InfoList
from rllib_dreamerv3.envs.named_class import call_maker, find_maker, make_named
from rllib_dreamerv3.envs.registry import is_benchmark, make_benchmark, vectorize
from rllib_dreamerv3.errors import ConfigError, EnvironmentDataError, EnvironmentFailedError
from rllib_dreamerv3.records import ACTION_MASK


def is_registered_with_tune(env: Any) -> bool:
    """Whether this name was registered with ``register_env``."""
    return isinstance(env, str) and _global_registry.contains(ENV_CREATOR, env)


def register_class(env: str) -> bool:
    """Register an environment named ``module:Class`` with RLlib.

    Args:
        env: An environment's name. Its module is imported here and in each env runner.

    Returns:
        Whether it names a class or function; False for benchmarks and ids of Gymnasium.

    Raises:
        ConfigError: If the module cannot be imported, or has no such attribute.
    """
    if is_benchmark(env) or find_maker(env) is None:
        return False
    register_env(env, partial(make_named, env))
    return True


def register_spec(env: str) -> None:
    """Make an id that this process registered with Gymnasium available in Ray's processes.

    They import neither the user's script nor its imports. Gymnasium's own ids and benchmarks are
    available everywhere.

    Args:
        env: An environment's name of any kind.
    """
    spec = gym.registry.get(env)
    if spec is None or is_benchmark(env) or _is_gymnasiums(spec):
        return
    # A name that the user registered with register_env takes precedence.
    if not is_registered_with_tune(env) or _spec_of(_global_registry.get(ENV_CREATOR, env)):
        register_env(env, partial(_make_spec, spec))


def _is_gymnasiums(spec: EnvSpec) -> bool:
    return isinstance(spec.entry_point, str) and spec.entry_point.startswith("gymnasium.")


def _spec_of(creator: Any) -> EnvSpec | None:
    """Return the spec that :func:`register_spec` registered; None for another function."""
    if isinstance(creator, partial) and creator.func is _make_spec:
        spec: EnvSpec = creator.args[0]
        return spec
    return None


def _make_spec(spec: EnvSpec, env_config: Mapping[str, Any]) -> gym.Env:
    if spec.entry_point is None and spec.vector_entry_point is not None:
        raise EnvironmentDataError(
            f"{spec.id} is registered as a vector environment only (vector_entry_point): set "
            "gym_env_vectorize_mode: vector_entry_point, in Python with "
            '.env_runners(gym_env_vectorize_mode="vector_entry_point").'
        )
    return gym.make(spec, disable_env_checker=True, **env_config)


def check_spaces(config: Any, env: VectorEnv) -> None:
    """Check ``observation_space``, ``action_space`` and ``action_mask_key``.

    Args:
        config: A config; all three may be unset.
        env: Its environments.

    Raises:
        ConfigError: If the environment has another space, or no action mask of that name.
    """
    for name in ("observation_space", "action_space"):
        announced, found = getattr(config, name), getattr(env, f"single_{name}")
        if announced is not None and announced != found:
            raise ConfigError(
                f"{name} is {announced} in the config, but {found} in the environment "
                f"{config.env!r}. Leave it out of the config to use that of the environment, or "
                "change it with gymnasium.wrappers."
            )
    key, observed = config.action_mask_key, env.single_observation_space
    keys = list(observed.spaces) if isinstance(observed, spaces.Dict) else []
    if key not in (*keys, ACTION_MASK):
        has = f"has the keys {keys}" if keys else f"is {observed}, not a Dict"
        raise ConfigError(
            f"action_mask_key is {key!r}, but the observation space of {config.env!r} {has}. Name "
            "the key of the action mask, or leave the option out."
        )


def autoreset_mode(env: VectorEnv, name: object) -> AutoresetMode:
    """Return an environment's autoreset mode, NEXT_STEP or SAME_STEP.

    Args:
        env: The environment; NEXT_STEP if its metadata has no mode.
        name: Its name in messages.

    Raises:
        ConfigError: If it does not reset itself.
    """
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode is AutoresetMode.DISABLED:
        raise ConfigError(
            f"The vector environment {name!r} has AutoresetMode.DISABLED, so it would never be "
            "reset. Create it with AutoresetMode.NEXT_STEP or SAME_STEP, or give a single "
            "environment."
        )
    return mode


def last_observations(
    env: VectorEnv, observation: Any, infos: Sequence[dict[str, Any]], ended: np.ndarray
) -> tuple[Any, Sequence[dict[str, Any]]]:
    """Restore the last observations of episodes from the infos of an environment with SAME_STEP.

    Args:
        env: The environment.
        observation: Of N environments; where an episode ended, the first of the next one.
        infos: Of each environment, with ``final_obs`` and ``final_info`` where an episode ended.
        ended: Where an episode ended, ``[N]`` bool.

    Returns:
        Observations and infos of the step, before any reset.

    Raises:
        EnvironmentDataError: If a last observation is missing.
    """
    observations = list(iterate(env.observation_space, observation))
    infos = list(infos)
    for i in np.flatnonzero(ended):
        if infos[i].get("final_obs") is None:
            raise EnvironmentDataError(
                f"Environment {i} ended an episode and reset itself in the same step "
                "(AutoresetMode.SAME_STEP), but its info lacks 'final_obs', the episode's last "
                "observation."
            )
        observations[i] = infos[i]["final_obs"]
        infos[i] = infos[i].get("final_info", {})
    out = create_empty_array(env.single_observation_space, len(observations))
    return concatenate(env.single_observation_space, observations, out), infos


def env_context(config: Any, worker_index: int, num_workers: int | None = None) -> EnvContext:
    """Return the context with which an env runner creates its environments.

    Args:
        config: Of training or of evaluation.
        worker_index: The env runner's index; 0 in the main process.
        num_workers: Number of env runners; None for that of the config.

    Returns:
        The ``env_config``, with a ``render_mode`` if this env runner is to render.
    """
    env_config = config.env_config
    first = 1 if config.num_env_runners else 0
    if config.render_env and not config.in_evaluation and worker_index == first:
        env_config = {"render_mode": "human", **env_config}
    if num_workers is None:
        num_workers = config.num_env_runners
    return EnvContext(env_config, worker_index, num_workers=num_workers)


def make_environments(config: Any, context: EnvContext) -> VectorEnv:
    """Create the environments of one env runner; benchmarks get the papers' preprocessing.

    Args:
        config: A validated config.
        context: Its ``env_config``, with the index of the env runner.

    Returns:
        ``num_envs_per_env_runner`` environments, whose infos are a list with each environment's
        dict. Single ones are checked, see :class:`CheckedEnv`.

    Raises:
        ConfigError: If the environment's name is unknown, its package is missing, or its spaces
            differ from those in the config.
        EnvironmentDataError: If the result is not an environment.
        EnvironmentFailedError: If it cannot be created.
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
    return InfoList(env)


def _make(config: Any, context: EnvContext) -> VectorEnv:
    n, mode = config.num_envs_per_env_runner, gym.VectorizeMode(config.gym_env_vectorize_mode)
    if is_benchmark(config.env) and not is_registered_with_tune(config.env):
        return make_benchmark(config.env, n, context, mode)
    if mode == gym.VectorizeMode.VECTOR_ENTRY_POINT:
        return make_vector(config.env, n, context)
    contexts = [context.copy_with_overrides(vector_index=i) for i in range(n)]
    makers = [partial(_make_checked, config.env, its_context) for its_context in contexts]
    return vectorize(makers, mode)


def make_vector(env: Any, n: int, context: EnvContext) -> VectorEnv:
    """Create a custom vector environment.

    Args:
        env: An id with a ``vector_entry_point``, or the class or function of a vector environment.
        n: Number of environments; an argument ``num_envs``, or a key of RLlib's ``env_config``.
        context: Its ``env_config``.

    Raises:
        EnvironmentDataError: If it is no vector environment.
    """
    creator = _creator(env)
    spec = env if creator is None else _spec_of(creator)
    if spec is not None:
        return gym.make_vec(spec, n, vectorization_mode="vector_entry_point", **context)
    assert creator is not None
    made = call_maker(creator, EnvContext(context | {"num_envs": n}, context.worker_index))
    if not isinstance(made, VectorEnv):
        raise EnvironmentDataError(
            f"{name_of_env(env)} made {made!r:.200}, which is not a gymnasium.vector.VectorEnv. "
            "gym_env_vectorize_mode: vector_entry_point needs one; leave the option out for a "
            "single environment."
        )
    return made


def _make_checked(env: Any, context: EnvContext) -> CheckedEnv:
    return CheckedEnv(make_single(env, context), name_of_env(env))


def make_single(env: Any, context: EnvContext) -> gym.Env:
    """Create one environment that is not a benchmark, without wrappers.

    Args:
        env: A name, a class or a function.
        context: Its ``env_config``.

    Raises:
        EnvironmentDataError: If it is an environment of several agents, or none of Gymnasium.
    """
    creator = _creator(env)
    if creator is not None:
        made = call_maker(creator, context)
        if isinstance(made, MultiAgentEnv):
            raise EnvironmentDataError(
                f"{name_of_env(env)} is a multi-agent environment; DreamerV3 trains a single agent."
            )
        require_environment(made, name_of_env(env))
        return made
    return gym.make(env, disable_env_checker=True, **context)


def _creator(env: Any) -> Callable[[EnvContext], Any] | None:
    """Return the function that creates an environment; None for an id of Gymnasium."""
    if is_registered_with_tune(env):
        return _global_registry.get(ENV_CREATOR, env)
    return env if callable(env) else None
