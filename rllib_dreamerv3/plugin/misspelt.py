"""Options that are misspelt, or given to another method of the config than theirs."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

import rllib_dreamerv3
from rllib_dreamerv3.errors import ConfigError, unknown_name

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
