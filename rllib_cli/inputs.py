"""Inputs that several commands share: JSON, the import path, checkpoints."""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import click

from rllib_cli.errors import RunError
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.startup.import_path import import_last_from


class _Json(click.ParamType):
    name = "JSON"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            parsed = json.loads(value, object_pairs_hook=self._unique_keys)
        except json.JSONDecodeError as exc:
            self.fail(f"not valid JSON: {exc.msg} at column {exc.colno} of {value}", param, ctx)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"must be a JSON object such as '{{\"key\": 1}}', not {value}", param, ctx)
        return parsed

    @staticmethod
    def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"duplicate key {key!r}; only one of them would be used")
            found[key] = value
        return found


JSON = _Json()


env_config = click.option(
    "--env-config", type=JSON, help="Options of the environment; they override those of the file."
)
pythonpath = click.option(
    "--pythonpath",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Directory of your modules, such as the environment's; may be repeated.",
)


def extend_import_path(directories: Sequence[str | Path], names: Any = None) -> None:
    """Add the directories of the user's modules to the import path.

    Processes that are started later inherit them. The working directory is only added if a module
    is named that is in it and nowhere else, and after all others: it may be a folder of somebody
    else's, whose ``numpy.py`` must not be imported instead of NumPy.

    Args:
        directories: Values of ``--pythonpath``, which come first.
        names: An environment's name, or a config that may contain ``module:name``.
    """
    first = [str(Path(one).expanduser().resolve()) for one in directories]
    if first:
        sys.path[:] = [*first, *(path for path in sys.path if path not in first)]
        after = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*first, *after]))
    for module in _modules(names):
        # Not for a misspelt name either.
        if importlib.util.find_spec(module) is None and PathFinder.find_spec(module, [os.getcwd()]):
            import_last_from(os.getcwd())
            return


def _modules(value: Any, separator: str = ":") -> Iterator[str]:
    """Yield the top-level modules of every ``module:name`` in a value."""
    if isinstance(value, str):
        if named := re.match(rf"([^\W\d]\w*)[\w.]*[{separator}][^\W\d]", value):
            yield named[1]
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            # RLlib also takes callbacks as module.Class.
            yield from _modules(inner, ".:" if str(key).startswith("callbacks") else separator)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _modules(inner, separator)


def find_checkpoint(checkpoint: str) -> tuple[Path, list[str]]:
    """Find the checkpoint that the user named, or the newest complete one in a directory.

    Args:
        checkpoint: A checkpoint, the results of a trial or an experiment, ``pretrained:NAME`` or
            ``hf://owner/name``.

    Returns:
        The checkpoint, and a message for each newer one that is damaged.

    Raises:
        RunError: If there is none.
    """
    from rllib_dreamerv3.checkpoints import runs

    try:
        return runs.find_checkpoint(checkpoint)
    except CheckpointError as error:
        raise RunError(str(error)) from error
