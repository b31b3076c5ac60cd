"""Inputs that several commands share: JSON, the import path, checkpoints."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rllib_cli.errors import RunError
from rllib_dreamerv3.errors import CheckpointError


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


def extend_import_path(directories: Sequence[str | Path] = ()) -> None:
    """Prepends directories and the working directory to the import path.

    Args:
        directories: Values of ``--pythonpath``. Processes that are started later inherit them.
    """
    first = [*(str(Path(one).expanduser().resolve()) for one in directories), os.getcwd()]
    sys.path[:] = [*first, *(path for path in sys.path if path not in first)]
    after = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*first, *after]))


def find_checkpoint(directory: str) -> tuple[Path, list[str]]:
    """Finds the newest complete checkpoint in a directory that the user named.

    Args:
        directory: A checkpoint, or the results of a trial or an experiment.

    Returns:
        The checkpoint, and a message for each newer one that is damaged.

    Raises:
        RunError: If there is none.
    """
    from rllib_dreamerv3.checkpoints import runs

    try:
        return runs.find_checkpoint(Path(directory).expanduser().resolve())
    except CheckpointError as error:
        raise RunError(str(error)) from error
