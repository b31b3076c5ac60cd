"""Paths and names of recorded data."""

import os
from collections.abc import Mapping
from typing import Any

MINARI = "minari:"
"""Prefix of the names of datasets in Minari's local directory."""


def absolute_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """Make the paths of ``input_`` and ``output`` absolute.

    Relative paths would be wrong in Tune's trials, which have other working directories.

    Args:
        config: Options by name; other options, and values that are not paths, are unchanged.
    """
    places = {name: config[name] for name in ("input_", "input", "output") if name in config}
    return {**config, **{name: _absolute(value) for name, value in places.items()}}


def _absolute(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_absolute(one) for one in value]
    # RLlib's default "sampler" is not a path.
    if not isinstance(value, str | os.PathLike) or value == "sampler":
        return value
    text = os.fspath(value)
    return text if text.startswith(MINARI) else os.path.abspath(os.path.expanduser(text))
