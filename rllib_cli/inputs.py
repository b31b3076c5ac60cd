"""What several commands share: options, how JSON is read, where modules and checkpoints are."""

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
            parsed = json.loads(value, object_pairs_hook=self._each_once)
        except json.JSONDecodeError as exc:
            self.fail(f"not valid JSON: {exc.msg} at column {exc.colno} of {value}", param, ctx)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"has to be a JSON object such as '{{\"key\": 1}}', not {value}", param, ctx)
        return parsed

    @staticmethod
    def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"the key {key!r} is there twice, and only one could count")
            found[key] = value
        return found


JSON = _Json()


env_config = click.option(
    "--env-config", type=JSON, help="Options of the environment, over those of the file."
)
pythonpath = click.option(
    "--pythonpath",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Directory of modules that are named, such as the environment's; may be repeated.",
)


def extend_import_path(directories: Sequence[str | Path] = ()) -> None:
    """Puts directories, then the working directory, before all others.

    Args:
        directories: Of ``--pythonpath``; processes that are started later look there too.
    """
    first = [*(str(Path(one).expanduser().resolve()) for one in directories), os.getcwd()]
    sys.path[:] = [*first, *(path for path in sys.path if path not in first)]
    after = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*first, *after]))


def find_checkpoint(directory: str) -> tuple[Path, list[str]]:
    """What :func:`runs.find_checkpoint` finds, for a path as it was typed.

    Raises:
        RunError: If there is none.
    """
    from rllib_dreamerv3.checkpoints import runs

    try:
        return runs.find_checkpoint(Path(directory).expanduser().resolve())
    except CheckpointError as error:
        raise RunError(str(error)) from error
