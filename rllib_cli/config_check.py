"""Checks a DreamerV3 config before Ray and TensorFlow are imported, which takes seconds.

RLlib would reject the same options later; this check only reports them sooner.
"""

from collections.abc import Mapping
from typing import Any

from rllib_cli.errors import InputError
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.former import FORMER_OPTIONS, check_former_option
from rllib_dreamerv3.options.option import Option
from rllib_dreamerv3.options.option_checks import check_options
from rllib_dreamerv3.options.rllibs import RLLIBS_FORMER_NAMES, SUPPORTED
from rllib_dreamerv3.options.rllibs_refused import IDLE, REFUSED
from rllib_dreamerv3.options.table import OPTIONS, REPLAY_BUFFER
from rllib_dreamerv3.options.unknown_options import unknown_options

NAME = "DreamerV3"

# Keys of config dicts that are neither attributes of the config object nor their former names.
_DICT_ONLY = {"class", "model_config", "multiagent"}

# DreamerV3's is gae_lambda.
_OF_OTHERS = {"lambda"}

_NAMES = (
    OPTIONS.keys()
    | FORMER_OPTIONS.keys()
    | SUPPORTED.keys()
    | IDLE.keys()
    | REFUSED.keys()
    | RLLIBS_FORMER_NAMES.keys() - _OF_OTHERS
    | _DICT_ONLY
)


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check the names of all options, and the values of DreamerV3's own outside grid searches.

    Args:
        config: RLlib's config of DreamerV3 as a dict.

    Returns:
        The config, with floats such as 1e6 converted to ints where an option needs one: YAML and
        JSON have no exponents for ints.

    Raises:
        InputError: If an option is unknown or has a wrong value.
    """
    config = with_ints(config)
    _check(config)
    return config


def check_environment_name(config: Mapping[str, Any]) -> None:
    """Check the environment's name, without importing modules of the user.

    Needs Gymnasium, but neither Ray nor TensorFlow.

    Args:
        config: RLlib's config of DreamerV3 as a dict.

    Raises:
        InputError: If there is no such id, its package is missing, an option in ``env_config`` is
            invalid, or the module of ``module:Class`` does not exist.
    """
    from rllib_dreamerv3.envs.named_class import require_module
    from rllib_dreamerv3.envs.registry import check_environment, is_benchmark

    env, env_config = config.get("env"), config.get("env_config", {})
    if not isinstance(env, str) or _is_searched(env_config):
        return
    try:
        if ":" in env and not is_benchmark(env):
            require_module(env)
        else:
            check_environment(env, env_config)
    except ConfigError as error:
        raise InputError(str(error)) from None


def with_ints(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert floats such as 1e6 to ints where an option of DreamerV3 needs one."""
    config = with_whole_numbers(config, OPTIONS)
    if isinstance(config.get("replay_buffer_config"), Mapping):
        replay = with_whole_numbers(config["replay_buffer_config"], REPLAY_BUFFER)
        config["replay_buffer_config"] = replay
    return config


def with_whole_numbers(given: Mapping[str, Any], rows: Mapping[str, Option]) -> dict[str, Any]:
    """Convert floats such as 1e6 to ints for options that need one, also in grid searches."""
    return {
        name: _whole(value) if name in rows and rows[name].kind is int else value
        for name, value in given.items()
    }


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("grid_search"), list):
        return {**value, "grid_search": [_whole(point) for point in value["grid_search"]]}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check(config: Mapping[str, Any]) -> None:
    if wrong := [str(key) for key in config if key not in _NAMES]:
        raise InputError(str(unknown_options("option", wrong, _NAMES)))
    env_config = config.get("env_config", {})
    if not isinstance(env_config, Mapping):
        given = "empty" if env_config is None else repr(env_config)
        raise InputError(
            f"env_config must be a mapping of the environment's options, not {given}. Leave it out "
            "if there are none."
        )
    if _is_searched(config):
        return
    own = {name: value for name, value in config.items() if name in OPTIONS}
    runners, per_runner = (
        config.get(name, default)
        for name, default in (("num_env_runners", 0), ("num_envs_per_env_runner", 1))
    )
    try:
        for name in FORMER_OPTIONS.keys() & config.keys():
            check_former_option(name, config[name])
        counts = isinstance(runners, int) and isinstance(per_runner, int)
        check_options(own, max(1, runners) * per_runner if counts else 1)
    except ConfigError as error:
        raise InputError(str(error)) from None


def _is_searched(value: Any) -> bool:
    """Whether a value contains ``{"grid_search": [...]}`` at any depth."""
    if isinstance(value, Mapping):
        return "grid_search" in value or any(map(_is_searched, value.values()))
    return isinstance(value, list | tuple) and any(map(_is_searched, value))
