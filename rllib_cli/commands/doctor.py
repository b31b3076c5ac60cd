"""``rllib doctor``: its grammar."""

import sys
from typing import Any

import click

from rllib_cli.commands.options import JSON, env_config, pythonpath


@click.command()
@click.argument("target", required=False)
@click.option("--env", "-e", help="Environment, in place of a file: an id, or module:Class.")
@env_config
@pythonpath
@click.option("--config", type=JSON, default="{}", help="RLlib's config, with --env.")
@click.option("--stop", "-s", type=JSON, help="Stop criteria: number by result.")
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def doctor(
    target: str | None,
    env: str | None,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    config: dict[str, Any],
    stop: dict[str, Any] | None,
    verbosity: int,
) -> None:
    """Say what a run will take, or what is wrong with one.

    TARGET is a file for `rllib train file`: a few real steps and updates are made, and time, memory
    and disk of the whole run follow. Or it is the results of a run, or a checkpoint in them: what
    looks wrong is named, with what was seen and what to change. The exit code is 1 then.
    """
    from rllib_cli.doctoring import examine
    from rllib_cli.import_path import extend_import_path

    if bool(target) == bool(env):
        raise click.UsageError("Give a file, a directory of results, or --env.")
    extend_import_path(pythonpath)
    sys.exit(examine(target, env, env_config, config, stop, verbosity))
