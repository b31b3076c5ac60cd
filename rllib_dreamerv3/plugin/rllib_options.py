"""What makes RLlib's own options wrong: each row of the table, and classes that are not ours."""

import enum
import functools
import logging
import reprlib
from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils import force_list

import rllib_dreamerv3
from rllib_dreamerv3.errors import ConfigError, unknown_name
from rllib_dreamerv3.options.option import Option, options_of
from rllib_dreamerv3.options.rllibs import HONOURED, users_name
from rllib_dreamerv3.options.rllibs_refused import IDLE, REFUSED
from rllib_dreamerv3.options.table import NetworkOptions, SizeOptions
from rllib_dreamerv3.plugin.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.rl_module import DreamerV3RLModule

logger = logging.getLogger(__name__)

NETWORKS = options_of(SizeOptions, NetworkOptions)
"""Options that decide the networks."""

_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 60


def check_rllib_options(config: Any) -> None:
    """Checks all options that RLlib brings.

    Raises:
        ConfigError: For the first one that is unknown, refused or wrong; says what to do.
    """
    _check_names(config)
    for name, row in HONOURED.items():
        if hasattr(config, name):
            _check_honoured(row, getattr(config, name))
    for name, instead in REFUSED.items():
        if _is_set(config, name):
            value = _SHORT.repr(getattr(config, name))
            raise ConfigError(f"{users_name(name)}: {value} is not offered: {instead}")
    for name, why in IDLE.items():
        if _is_set(config, name):
            _say_once(f"{users_name(name)} has no effect with DreamerV3: {why}")
    _check_classes(config)
    _check_evaluation_config(config.evaluation_config)


def _check_evaluation_config(overrides: Any) -> None:
    """Refuses other networks in evaluation, which plays with those that are trained."""
    for name in overrides if isinstance(overrides, Mapping) else ():
        if name in NETWORKS:
            raise ConfigError(
                f"evaluation_config cannot have {name!r}: evaluation plays with the networks that "
                "are trained. Leave it out."
            )


def _check_names(config: Any) -> None:
    """Finds attributes that were misspelt when they were set."""
    config_class: Any = type(config)
    known = _fresh(config_class)
    for name in vars(config):
        # RLlib's from_state() leaves the config's class among its options.
        if name not in known and name != "class":
            public = [x for x in known if not x.startswith("_")]
            raise unknown_name("option", name, public)


def _check_honoured(row: Option, value: Any) -> None:
    if isinstance(value, enum.Enum):
        value = value.value
    try:
        row.check(value)
    except ConfigError as error:
        message = str(error).replace(row.name, users_name(row.name), 1)
        # Where there is no choice, why there is none.
        why = f" {row.sentence}" if len(row.choices) == 1 else ""
        raise ConfigError(message + why) from None


def _is_set(config: Any, name: str) -> bool:
    """Whether an option holds something that neither RLlib nor our config has put there."""
    if name == "policies":
        # The one policy there is has another form after the config was a dict.
        return config.is_multi_agent
    if not hasattr(config, name):
        return False  # The installed Ray does not have it.
    value = getattr(config, name)
    for default in (_fresh(AlgorithmConfig), _fresh(rllib_dreamerv3.DreamerV3Config)):
        if value is None and default[name] is False:
            return False  # As RLlib's examples leave out what a command line did not say.
        try:
            if value is default[name] or value == default[name]:
                return False
        except Exception:  # Of arrays, for example, the elements are compared.
            continue
    return True


@functools.cache
def _fresh(config_class: type[AlgorithmConfig]) -> Mapping[str, Any]:
    """All attributes of a new config."""
    return vars(config_class())


@functools.cache
def _say_once(sentence: str) -> None:
    logger.warning("%s", sentence)


def _check_classes(config: Any) -> None:
    """Checks classes of the user's own, which have to be subclasses of the right ones."""
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
                "model_config of rl_module_spec would take the place of what DreamerV3's networks "
                "are built from. Give it to .rl_module(model_config={...}) instead."
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
    """Lets keys pass for a module class of the user's own, where they are not DreamerV3's."""
    given = config._model_config
    if not given:
        return
    if not (own_module and isinstance(given, Mapping)):
        raise ConfigError(
            f"model_config: {_SHORT.repr(given)} is not offered: set model_size and the other "
            "options of .training() instead. It is for a subclass of DreamerV3RLModule, in "
            ".rl_module(rl_module_spec=RLModuleSpec(module_class=...))."
        )
    taken = sorted(config._model_config_auto_includes.keys() & given.keys())
    if taken:
        raise ConfigError(
            f"model_config cannot have the keys {taken}, which follow from .training(). Call yours "
            "otherwise."
        )
