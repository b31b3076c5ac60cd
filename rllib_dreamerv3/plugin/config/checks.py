"""Checks of a config: unknown options, values of RLlib's own, and what contradicts."""

import enum
import functools
import inspect
import logging
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils import force_list

import rllib_dreamerv3
from rllib_dreamerv3.envs.registry import check_environment
from rllib_dreamerv3.errors import ConfigError, unknown_name
from rllib_dreamerv3.options.checks import check_options, check_rows_of_learners
from rllib_dreamerv3.options.model_sizes import model_settings, variant_of
from rllib_dreamerv3.options.option import Option, options_of
from rllib_dreamerv3.options.rllibs import HONOURED, users_name
from rllib_dreamerv3.options.rllibs_refused import IDLE, REFUSED
from rllib_dreamerv3.options.table import OPTIONS, NetworkOptions, SizeOptions
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.environments import (
    env_context,
    is_registered_with_tune,
    register_class,
    register_spec,
)

# What the sizes of v2 have in common.
_LAYERS_OF_V2 = ("prior", "reward", "continue", "actor", "critic", "vector")

logger = logging.getLogger(__name__)


def check(config: Any) -> None:
    """Checks all options.

    Raises:
        ConfigError: For the first option that is wrong; says what it may be.
    """
    check_rllib_options(config)
    check_options({name: getattr(config, name) for name in OPTIONS}, config.num_environments)
    if not config.in_evaluation:
        _check_sampling(config)
    check_rows_of_learners(config.batch_size_B, config.num_learners)
    if config.num_learners == 0 and config.custom_resources_per_learner:
        raise ConfigError(
            "custom_resources_per_learner has no meaning with num_learners: 0, where the learner "
            "is in the main process. Set custom_resources_for_main_process instead."
        )
    if config.variant == "v2" and variant_of(config.model_size) == "v1":
        _warn_of_layers(config.model_size)
    if not (config.env is None or isinstance(config.env, str) or callable(config.env)):
        raise ConfigError(
            f"env must be a name, a class or a function that makes an environment, not "
            f"{config.env!r:.200}. An environment that exists already cannot be copied to other "
            "processes: give its class."
        )
    if isinstance(config.env, str):
        register_spec(config.env)
    # Fails here, in the user's own process, and not later in an env runner's.
    if (
        isinstance(config.env, str)
        and not is_registered_with_tune(config.env)
        and not register_class(config.env)
    ):
        check_environment(config.env, env_context(config, min(1, config.num_env_runners)))


def _check_sampling(config: Any) -> None:
    """Raises ConfigError if options contradict the way of sampling."""
    if not config.samples_asynchronously:
        if config.max_records_ahead != "auto":
            raise ConfigError(
                'max_records_ahead has no meaning with sampling: "synchronous", where env runners '
                'wait for all updates. Leave it out, or set sampling: "asynchronous".'
            )
        return
    if not config.num_env_runners:
        raise ConfigError(
            'sampling: "asynchronous" needs env runners in processes of their own. Set '
            'num_env_runners to at least 1, or sampling: "synchronous".'
        )
    if config.exact_resume:
        raise ConfigError(
            'exact_resume cannot be kept with sampling: "asynchronous", where the clock decides '
            'which records an update sees. Set sampling: "synchronous", or exact_resume: false.'
        )
    if config.max_records_ahead is None:
        return
    if config.batch_mode == "complete_episodes":
        raise ConfigError(
            'batch_mode: "complete_episodes" does not say how many records a call will bring, and '
            'so not, with sampling: "asynchronous", how far env runners get ahead. Set batch_mode: '
            '"truncate_episodes", or max_records_ahead: None.'
        )
    if config.most_records_ahead < config.records_per_round:
        raise ConfigError(
            f"max_records_ahead must be at least {config.records_per_round}, what one call of each "
            "env runner brings (num_env_runners x num_envs_per_env_runner x "
            f"rollout_fragment_length), not {config.max_records_ahead}."
        )


@functools.cache
def _warn_of_layers(size: str) -> None:
    """Warns once of a size of v1 in variant v2: it works, but results do not compare."""
    own, published = model_settings(size, "v2"), model_settings("1M")
    names = [f"{part}_layers" for part in _LAYERS_OF_V2]
    layers = [(name, getattr(own, name), getattr(published, name)) for name in names]
    differing = [f"{name} {x} instead of {y}" for name, x, y in layers if x != y]
    logger.warning(
        "variant 'v2' with model_size %r, a size of v1, is no network that was published: the size "
        "decides the numbers of layers, which are %s. The sizes of v2 are 1M to 400M.",
        size,
        ", ".join(differing),
    )


_METHODS = (
    *("training", "environment", "env_runners", "learners", "evaluation", "reporting"),
    *("checkpointing", "fault_tolerance", "debugging", "callbacks", "resources", "rl_module"),
)


def naming_the_nearest(name: str) -> Callable[..., Any]:
    """RLlib's method of that name, which answers a misspelt option with the nearest.

    Python's own error says no more than that the name is unexpected.
    """
    method = getattr(AlgorithmConfig, name)
    known = inspect.signature(method).parameters.keys() - {"self"}

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        for option in kwargs:
            if option not in known:
                raise unknown_option(option, name, known)
        return method(self, *args, **kwargs)

    return checked


def unknown_option(option: str, method: str, known: Iterable[str]) -> ConfigError:
    """The error for an option that a method does not have.

    Args:
        option: What was given.
        method: To which method of the config.
        known: The options of that.

    Returns:
        An error that names the method whose option it is, or else the nearest of this one.
    """
    for other in _METHODS:
        takes = inspect.signature(getattr(rllib_dreamerv3.DreamerV3Config, other)).parameters
        if other != method and option in takes:
            return ConfigError(
                f"{option!r} is no option of .{method}(): set it with .{other}({option}=...)."
            )
    return unknown_name(f"{method} option", option, known)


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
