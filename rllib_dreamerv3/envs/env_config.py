"""Options of the benchmark environments: parses and checks ``env_config``."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import gymnasium as gym

from rllib_dreamerv3.errors import ConfigError, unknown_name

Options = TypeVar("Options", bound="EnvOptions")


@dataclass(frozen=True)
class EnvOptions:
    """Base of the option classes: one field per option, checked by its annotation.

    Attributes:
        benchmark: Name of the benchmark in messages.
        least: Minimum values of numeric options.
        rllibs: Option names of RLlib's wrapper of the benchmark -> names here.
    """

    benchmark: ClassVar[str]
    least: ClassVar[Mapping[str, int]] = {}
    rllibs: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """Check types and minimum values."""
        for field in fields(self):
            value = getattr(self, field.name)
            allowed: Any = (float, int) if field.type is float else field.type
            # A bool is an int in Python, but a mistake in an option.
            if not isinstance(value, allowed) or (
                isinstance(value, bool) and field.type is not bool
            ):
                raise ConfigError(
                    f"env_config[{field.name!r}] must be of type "
                    f"{getattr(field.type, '__name__', field.type)}, not {value!r}."
                )
        for name, least in self.least.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"env_config[{name!r}] must be at least {least}, not {value}.")

    @classmethod
    def from_env_config(cls: type[Options], env_config: Mapping[str, Any]) -> Options:
        """Read the options from ``config.environment(env_config=...)``.

        Args:
            env_config: Option name -> value; omitted options have their defaults.

        Returns:
            The options.

        Raises:
            ConfigError: If an option is unknown (names the most similar), or a value is invalid.
        """
        names = [field.name for field in fields(cls)]
        for name in env_config:
            if name in names:
                continue
            if name == "render_mode":
                raise ConfigError(
                    f"env_config['render_mode'] cannot be set: {cls.benchmark} environments are "
                    "not shown in a window here."
                )
            if name in cls.rllibs:
                raise ConfigError(
                    f"Unknown {cls.benchmark} option in env_config {name!r}, as RLlib's wrapper "
                    f"calls it. Here it is {cls.rllibs[name]!r}."
                )
            if not names:
                raise ConfigError(
                    f"Unknown {cls.benchmark} option in env_config {name!r}: there are none."
                )
            raise unknown_name(f"{cls.benchmark} option in env_config", str(name), names)
        return cls(**env_config)


def unknown_environment(
    env_id: str, known: Iterable[str] | None = None, *, common: str = "", advice: str = ""
) -> ConfigError:
    """Build the error for an environment that does not exist.

    Args:
        env_id: The given id, with or without a module (``module:Name-v0``).
        known: Existing ids; None for all that are registered with Gymnasium.
        common: Common prefix of the ids, ignored when comparing them.
        advice: Advice if no id is similar.

    Returns:
        The error; names up to three of the most similar ids.
    """

    def short(name: str) -> str:
        return name.rpartition(":")[2].removeprefix(common).lower()

    shortened = {short(name): name for name in (gym.registry if known is None else known)}
    near = difflib.get_close_matches(short(env_id), shortened, n=3)
    if near:
        hint = f"Did you mean {' or '.join(repr(shortened[match]) for match in near)}?"
    else:
        hint = advice or "gymnasium.pprint_registry() lists all that are registered."
    return ConfigError(
        f"Unknown environment {env_id!r}. {hint} An environment of your own is named by "
        f"'module:Class', or registered with ray.tune.registry.register_env; one of a package is "
        f"named by 'package:Name-v0'."
    )
