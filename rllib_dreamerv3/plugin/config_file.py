"""A trial's config for people: what was changed, then every option as it counts. Imports Ray."""

import platform
from collections.abc import Mapping
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import yaml
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.config import DreamerV3Config

_PACKAGES = ("rllib-dreamerv3", "ray", "tensorflow", "tensorflow-probability", "gymnasium", "numpy")


def described(config: AlgorithmConfig) -> str:
    """Describes a config as YAML.

    Args:
        config: Of any algorithm.

    Returns:
        ``versions``, ``changed`` (what is not as by default) and ``options`` (all of them, those
        that depend on the variant with what they stand for). Classes, functions and spaces are
        there by their names: it is to be read, not to be run.
    """
    options, defaults = _options(config), _defaults(config)
    changed = {
        name: x for name, x in options.items() if name not in defaults or x != defaults[name]
    }
    content = {"versions": _versions(), "changed": changed, "options": options}
    # Without anchors, which stand for what is there twice and are hard to read.
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _options(config: AlgorithmConfig) -> dict[str, Any]:
    """All options by their names: those of the table first, then RLlib's."""
    said = config.to_dict()
    rllibs = {name: x for name, x in sorted(said.items()) if not name.startswith("_")}
    if isinstance(config, DreamerV3Config):
        own = {name: config.resolved(name) for name in OPTIONS}
        own["variant"] = variant_of(config.model_size, config.variant)
        own["replay_buffer_config"] = config.replay_buffer_options()
        said = {"env": rllibs.pop("env", None), **own, **rllibs, **own}
    else:
        said = rllibs
    return {name: _plain(value) for name, value in said.items()}


def _defaults(config: AlgorithmConfig) -> dict[str, Any]:
    """What the options are where nobody sets them, with the same published version."""
    fresh = type(config)()
    if not isinstance(config, DreamerV3Config):
        return _options(fresh)
    size = fresh.model_size
    fresh.model_size = config.model_size
    of_variant = {"variant": variant_of(config.model_size), "model_size": size}
    fresh.variant = variant_of(config.model_size, config.variant)
    return {**_options(fresh), **of_variant}


def _plain(value: Any) -> Any:
    """A value in YAML's own types."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(x) for x in value]
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
