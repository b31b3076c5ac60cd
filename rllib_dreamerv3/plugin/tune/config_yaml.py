"""A run's config as YAML, for reading."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import yaml
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.startup.versions import versions


def described(config: AlgorithmConfig) -> str:
    """Describe a config as YAML, for reading only.

    Args:
        config: Of any algorithm.

    Returns:
        ``versions``, ``changed`` (options that differ from their defaults) and ``options`` (all,
        with the variant's defaults resolved). Classes, functions and spaces appear by name.
    """
    options, defaults = _options(config), _defaults(config)
    changed = {
        name: x for name, x in options.items() if name not in defaults or x != defaults[name]
    }
    content = {"versions": versions(), "changed": changed, "options": options}
    # Without anchors for repeated values, which are hard to read.
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _options(config: AlgorithmConfig) -> dict[str, Any]:
    """Return all options by name: those of the table first, then RLlib's."""
    rllibs = {name: x for name, x in sorted(config.to_dict().items()) if not name.startswith("_")}
    if isinstance(config, DreamerV3Config):
        own = {name: config.resolved(name) for name in OPTIONS}
        own["variant"] = variant_of(config.model_size, config.variant)
        own["replay_buffer_config"] = config.replay_buffer_options()
        options = {"env": rllibs.pop("env", None), **own, **rllibs, **own}
    else:
        options = rllibs
    return {name: plain(value) for name, value in options.items()}


def _defaults(config: AlgorithmConfig) -> dict[str, Any]:
    """Return the default options of the config's variant."""
    fresh = type(config)()
    if not isinstance(config, DreamerV3Config):
        return _options(fresh)
    size = fresh.model_size
    fresh.model_size = config.model_size
    of_variant = {"variant": variant_of(config.model_size), "model_size": size}
    fresh.variant = variant_of(config.model_size, config.variant)
    return {**_options(fresh), **of_variant}


def plain(value: Any) -> Any:
    """Convert a value to YAML's own types; classes and functions to their names."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(x) for x in value]
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
