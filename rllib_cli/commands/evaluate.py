"""``rllib evaluate``: its grammar."""

from typing import Any, Literal

import click

from rllib_cli.commands.options import env_config, pythonpath
from rllib_cli.errors import InputError


@click.command()
@click.argument("checkpoint")
@click.option("--algo", "--run", "-a", "-r", "algorithm", help="Not needed: checkpoints say it.")
@click.option("--env", "-e", help="Environment to play in: an id, or module:Class.")
@env_config
@pythonpath
@click.option("--episodes", type=click.IntRange(1), help="Episodes to play (default: 10).")
@click.option("--steps", type=click.IntRange(1), help="Play at least so many steps instead.")
@click.option("--out", type=click.Path(dir_okay=False, writable=True), help="Write JSON here.")
@click.option("--render", is_flag=True, help="Show the environment.")
@click.option(
    "--action",
    type=click.Choice(["sample", "mode"]),
    help="Sample actions, or take the most likely one (default: as configured).",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def evaluate(
    checkpoint: str,
    algorithm: str | None,
    env: str | None,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    episodes: int | None,
    steps: int | None,
    out: str | None,
    render: bool,
    action: Literal["sample", "mode"] | None,
    verbosity: int,
) -> None:
    """Play episodes with CHECKPOINT and report their returns.

    CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest that is
    whole. Nothing of it is executed: an environment of your own is made if --env names it.
    """
    from rllib_cli.evaluating import evaluate_checkpoint
    from rllib_cli.import_path import extend_import_path

    extend_import_path(pythonpath)
    if algorithm not in (None, "DreamerV3"):
        raise InputError(f"Only checkpoints of DreamerV3 can be played, not of {algorithm}.")
    evaluate_checkpoint(
        checkpoint,
        env=env,
        env_config=env_config,
        episodes=episodes if episodes or steps else 10,
        steps=steps,
        out=out,
        render=render,
        action=action,
        verbosity=verbosity,
    )
