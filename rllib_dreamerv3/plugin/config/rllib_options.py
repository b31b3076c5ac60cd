"""Checks RLlib's own options, and options that no method of the config has."""

import enum
import functools
import inspect
import logging
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils import force_list

import rllib_dreamerv3
from rllib_dreamerv3.envs.named_class import find_object
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.option import Option, options_of
from rllib_dreamerv3.options.rllibs import SUPPORTED, users_name
from rllib_dreamerv3.options.rllibs_refused import IDLE, REFUSED
from rllib_dreamerv3.options.table import NetworkOptions, SizeOptions
from rllib_dreamerv3.options.unknown_options import unknown_options
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner

logger = logging.getLogger(__name__)

_METHODS = (
    *("training", "environment", "env_runners", "learners", "evaluation", "reporting"),
    *("checkpointing", "fault_tolerance", "debugging", "callbacks", "resources", "rl_module"),
    "offline_data",
)


def checked_method(name: str) -> Callable[..., Any]:
    """Wrap a method of RLlib's config to raise :func:`unknown_in_method` for unknown options.

    Python's own error does not suggest a name.
    """
    method = getattr(AlgorithmConfig, name)
    known = inspect.signature(method).parameters.keys() - {"self"}

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if unknown := [option for option in kwargs if option not in known]:
            raise unknown_in_method(unknown, name, known)
        return method(self, *args, **kwargs)

    return checked


def refused_method(name: str, instead: str) -> Callable[..., NoReturn]:
    """Return a method of the config that raises ConfigError, which says what to do instead.

    RLlib has removed these; its error names nothing of DreamerV3.
    """

    def refused(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise ConfigError(f".{name}() is not supported: {instead}")

    refused.__name__, refused.__doc__ = name, f"Not supported: {instead}"
    return refused


def unknown_in_method(options: Iterable[str], method: str, known: Iterable[str]) -> ConfigError:
    """Build the error for options that a method does not have.

    Args:
        options: Names of the options.
        method: Name of the config's method.
        known: Names of the method's options.

    Returns:
        An error that names all of them, each with the method that has it, or else with the most
        similar option.
    """
    config_class = rllib_dreamerv3.DreamerV3Config
    takes = {name: inspect.signature(getattr(config_class, name)).parameters for name in _METHODS}
    elsewhere = {
        option: f"set it with .{other}({option}=...)."
        for option in options
        for other in _METHODS
        if other != method and option in takes[other]
    }
    return unknown_options(f"{method} option", options, known, elsewhere)


NETWORKS = options_of(SizeOptions, NetworkOptions)
"""Options that determine the networks."""

_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 60


def check_rllib_options(config: Any) -> None:
    """Check all of RLlib's own options.

    Raises:
        ConfigError: For the first unknown, unsupported or invalid option; says what to do.
    """
    _check_names(config)
    for name, row in SUPPORTED.items():
        if hasattr(config, name):
            _check_honoured(row, getattr(config, name))
    refused = [
        f"{users_name(name)}: {_SHORT.repr(getattr(config, name))} is not supported: {instead}"
        for name, instead in REFUSED.items()
        if _is_set(config, name)
    ]
    if refused:
        raise ConfigError("\n".join(refused))
    for name, why in IDLE.items():
        if _is_set(config, name):
            _warn_once(f"{users_name(name)} has no effect with DreamerV3: {why}")
    _check_classes(config)
    _check_evaluation_config(config.evaluation_config)


def _check_evaluation_config(overrides: Any) -> None:
    """Reject options of the networks in evaluation, which plays with the trained networks."""
    for name in overrides if isinstance(overrides, Mapping) else ():
        if name in NETWORKS:
            raise ConfigError(
                f"evaluation_config cannot have {name!r}: evaluation plays with the trained "
                "networks. Leave it out."
            )


def _check_names(config: Any) -> None:
    """Reject attributes that no config has, such as misspelt names."""
    config_class: Any = type(config)
    known = _fresh(config_class)
    # RLlib's from_state() leaves the config's class among its options.
    if unknown := vars(config).keys() - known.keys() - {"class"}:
        raise unknown_options("option", sorted(unknown), known)


def with_named_classes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Replace ``module:Class`` and ``module:function`` by what they name, also in lists.

    Files and the command line have no other names for classes and functions. RLlib's
    ``module.Class`` is left to RLlib.

    Args:
        options: Option name -> value.

    Raises:
        ConfigError: If a module cannot be imported, or has no such class or function.
    """
    return {
        name: _named(name, value) if name in _CLASSES else value for name, value in options.items()
    }


_CLASSES = {
    name
    for attribute, row in SUPPORTED.items()
    if row.kind in (type, Callable)
    for name in (attribute, users_name(attribute))
}


def _named(option: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_named(option, each) for each in value]
    if isinstance(value, str) and ":" in value:
        return find_object(value, f"class or function for {option}")
    return value


def _check_honoured(row: Option, value: Any) -> None:
    if isinstance(value, enum.Enum):
        value = value.value
    try:
        row.check(value)
    except ConfigError as error:
        message = str(error).replace(row.name, users_name(row.name), 1)
        # If only one value is valid, say why.
        why = f" {row.sentence}" if len(row.choices) == 1 else ""
        raise ConfigError(message + why) from None


def _is_set(config: Any, name: str) -> bool:
    """Whether an option differs from both RLlib's default and ours."""
    if name == "policies":
        # The single policy has another form after a conversion of the config to a dict.
        return config.is_multi_agent
    if not hasattr(config, name):
        return False  # Not in the installed Ray.
    value = getattr(config, name)
    for default in (_fresh(AlgorithmConfig), _fresh(rllib_dreamerv3.DreamerV3Config)):
        if value is None and default[name] is False:
            return False  # RLlib's examples set None for flags that were not given.
        try:
            if value is default[name] or value == default[name]:
                return False
        except Exception:  # E.g. arrays, which compare element by element.
            continue
    return True


@functools.cache
def _fresh(config_class: type[AlgorithmConfig]) -> Mapping[str, Any]:
    return vars(config_class())


@functools.cache
def _warn_once(sentence: str) -> None:
    logger.warning("%s", sentence)


def _check_classes(config: Any) -> None:
    _check_subclass("env_runner_cls", config.env_runner_cls, DreamerV3EnvRunner)
    _check_subclass("learner_class", config.learner_class, config.get_default_learner_class())
    for callbacks in force_list(config.callbacks_class):
        _check_subclass("callbacks", callbacks, RLlibCallback)
    spec, needed = config._rl_module_spec, DreamerV3RLModule
    if spec is not None:
        if not isinstance(spec, RLModuleSpec):
            raise ConfigError(
                f"rl_module_spec must be an RLModuleSpec of one module, not {_SHORT.repr(spec)}."
            )
        if spec.module_class is not None:
            _check_subclass("module_class of rl_module_spec", spec.module_class, needed)
        if spec.model_config is not None:
            raise ConfigError(
                "model_config of rl_module_spec would replace the settings of DreamerV3's "
                "networks. Give it to .rl_module(model_config={...}) instead."
            )
    own_module = spec is not None and spec.module_class not in (None, needed)
    _check_model_config(config, own_module)


def _check_subclass(name: str, given: Any, needed: type) -> None:
    if not (isinstance(given, type) and issubclass(given, needed)):
        raise ConfigError(
            f"{name} must be a subclass of {needed.__module__}.{needed.__qualname__}, not "
            f"{_SHORT.repr(given)}."
        )


def _check_model_config(config: Any, own_module: bool) -> None:
    """Allow additional keys for user-defined module classes; reject DreamerV3's own keys."""
    given = config._model_config
    if not given:
        return
    if not (own_module and isinstance(given, Mapping)):
        raise ConfigError(
            f"model_config: {_SHORT.repr(given)} is not supported: set model_size and the other "
            "options of .training() instead. model_config is for a subclass of DreamerV3RLModule, "
            "given as .rl_module(rl_module_spec=RLModuleSpec(module_class=...))."
        )
    taken = sorted(config._model_config_auto_includes.keys() & given.keys())
    if taken:
        raise ConfigError(
            f"model_config cannot have the keys {taken}, which .training() sets. Rename yours."
        )
