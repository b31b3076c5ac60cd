"""Relative paths in options: they are relative to the directory in which a run was started."""

import os
import re
from collections.abc import Mapping
from typing import Any

MINARI = "minari:"
"""Prefix of the names of datasets in Minari's local directory."""

_OPTIONS = ("input_", "input", "output", "start_checkpoint")
# "s3://bucket/x" is a URI, "minari:ID" or "pretrained:NAME" is a name.
_NO_PATH = re.compile(rf"\w[\w+.-]*://|{MINARI}|pretrained:")


def absolute_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Make the paths in options absolute, also in grid searches.

    Tune's trials have other working directories, in which relative paths would be wrong.

    Args:
        config: Options by name; other options, and values that are not paths, are unchanged.
    """
    found = {name: _absolute(config[name]) for name in _OPTIONS if name in config}
    replay = config.get("replay_buffer_config")
    if isinstance(replay, Mapping) and "directory" in replay:
        found["replay_buffer_config"] = {**replay, "directory": _absolute(replay["directory"])}
    return {**config, **found}


def _absolute(value: Any) -> Any:
    if isinstance(value, Mapping) and "grid_search" in value:
        return {**value, "grid_search": _absolute(value["grid_search"])}
    if isinstance(value, list | tuple):
        return [_absolute(one) for one in value]
    # RLlib's default "sampler" is not a path.
    if not isinstance(value, str | os.PathLike) or value == "sampler":
        return value
    text = os.fspath(value)
    if _NO_PATH.match(text):
        return text
    # Tune sets the variable in trials.
    started_in = os.environ.get("TUNE_ORIG_WORKING_DIR") or os.getcwd()
    return os.path.abspath(os.path.join(started_in, os.path.expanduser(text)))
