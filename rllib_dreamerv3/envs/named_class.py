"""Classes and functions named as ``module:Class`` or ``module:function``, above all environments.

Of environments, Gymnasium's ``module:Name-v0``, which imports a module that registers the id, takes
precedence.
"""

import importlib
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym

from rllib_dreamerv3.errors import ConfigError, unknown_name

# Names of an optional first parameter that receives RLlib's ``env_config``.
_RLLIBS_ARGUMENT = {"config", "env_config", "env_context", "ctx", "context", "cfg"}


def find_maker(env: str) -> Callable[..., Any] | None:
    """Import the module of an environment's name, and return its class or function.

    Args:
        env: An environment's name.

    Returns:
        The class or function; None if the name has no module, or is an id that the module has
        registered with Gymnasium.

    Raises:
        ConfigError: If the module cannot be imported, or has no such attribute.
    """
    name_of_module, _, name = env.partition(":")
    if not name_of_module or not name:
        return None
    _imported(env, name_of_module)
    try:
        gym.spec(name)
    except (gym.error.Error, ValueError):
        pass
    else:
        return None
    maker = find_object(env, "environment")
    if not callable(maker):
        raise ConfigError(
            f"{env!r} is {type(maker).__name__} {maker!r}; it must be a class or a function that "
            "makes an environment."
        )
    return maker


def find_object(given: str, what: str) -> Any:
    """Import what ``module:name`` names.

    Args:
        given: The name; ``module:Outer.Inner`` for a nested class.
        what: What it should be, in messages.

    Raises:
        ConfigError: If the module cannot be imported, or has no such attribute.
    """
    name_of_module, _, name = given.partition(":")
    module = _imported(given, name_of_module)
    found: Any = module
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise _unknown_class(given, what, module, name) from None
    return found


def make_named(env: str, env_config: Mapping[str, Any]) -> gym.Env:
    """Create the environment named ``module:Class``; raise as :func:`find_maker`.

    Args:
        env: The name.
        env_config: Option name -> value.
    """
    maker = find_maker(env)
    assert maker is not None
    return call_maker(maker, env_config)


def call_maker(maker: Callable[..., Any], env_config: Mapping[str, Any]) -> Any:
    """Create an environment with RLlib's or Gymnasium's calling convention.

    RLlib's passes ``env_config`` as the only argument. It is used if the first parameter has no
    default or is named ``config``, ``env_config`` or similar. Gymnasium's passes the options as
    keyword arguments, for a vector environment also ``num_envs``.

    Args:
        maker: A class or a function.
        env_config: Option name -> value.
    """
    return maker(env_config) if _takes_config(maker) else maker(**env_config)


def directory_of(env: str) -> str | None:
    """Return the directory to add to the import path for the module of ``module:Class``.

    Args:
        env: An environment's name; the module is not imported.

    Returns:
        The directory; None if the module is not found, or is installed.
    """
    top = env.partition(":")[0].partition(".")[0]
    try:
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        return None
    file = Path(spec.origin).resolve()
    if {"site-packages", "dist-packages"} & {*file.parts}:
        return None
    return str(file.parent.parent if spec.submodule_search_locations else file.parent)


def is_found(env: str) -> bool:
    """Whether the module of ``module:Class`` can be found; it is not imported."""
    top = env.partition(":")[0].partition(".")[0]
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def require_module(env: str) -> None:
    """Raise ConfigError if the module of ``module:Class`` cannot be found; do not import it."""
    if not is_found(env):
        raise _missing(env, env.partition(":")[0].partition(".")[0])


def _imported(env: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise _missing(env, missing) from error
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
        raise ConfigError(
            f"The module of {env!r} cannot be imported: {type(error).__name__}: {error}{where}"
        ) from error


def _missing(env: str, module: str) -> ConfigError:
    return ConfigError(
        f"The module {module!r} of {env!r} is neither in the working directory nor installed. Give "
        "its directory with --pythonpath DIR on the command line or PYTHONPATH, or install it."
    )


def _unknown_class(given: str, what: str, module: ModuleType, name: str) -> ConfigError:
    own = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    file = getattr(module, "__file__", None) or module.__name__
    if not own:
        registers = " registers no such id with Gymnasium, and" * (what == "environment")
        return ConfigError(
            f"Unknown {what} {given!r}: {file}{registers} defines no class or function."
        )
    return unknown_name(f"{what} of {file}:", name, own)


def _takes_config(maker: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(maker).parameters.values())
    except (TypeError, ValueError):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        return bool(parameters) and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
    first = parameters[0]
    if first.name == "num_envs":
        return False
    return first.default is inspect.Parameter.empty or first.name in _RLLIBS_ARGUMENT
