"""``rllib check-env``: its grammar."""

import sys
from typing import Any

import click

from rllib_cli.commands.options import JSON, env_config, pythonpath


@click.command("check-env")
@click.argument("env")
@env_config
@pythonpath
@click.option(
    "--config",
    type=JSON,
    default="{}",
    help="Options that decide what the model sees: model_size, image_size and their like.",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def check_env(
    env: str,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    config: dict[str, Any],
    verbosity: int,
) -> None:
    """Try ENV before training in it: an id, or module:Class.

    Runs Gymnasium's checker and 200 random steps, and shows the spaces as the model will see them.
    The exit code is 1 if something is wrong.
    """
    from rllib_cli.env_report import check_environment
    from rllib_cli.import_path import extend_import_path

    extend_import_path(pythonpath)
    sys.exit(check_environment(env, env_config or {}, config, verbosity))
