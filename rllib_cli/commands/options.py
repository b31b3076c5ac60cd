"""What several commands share: their options, and how JSON is read."""

import json
from typing import Any

import click


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
