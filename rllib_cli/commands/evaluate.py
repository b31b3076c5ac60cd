"""``rllib evaluate``: its grammar."""

from typing import Any

import click

from rllib_cli.commands.options import env_config, pythonpath
from rllib_cli.errors import InputError


@click.command()
@click.argument("checkpoint")
@click.option("--algo", "--run", "-a", "-r", "algorithm", help="Not needed: checkpoints say it.")
@click.option(
    "--env",
    "-e",
    help="Environment to play in, an id or module:Class (default: the one that was trained in).",
)
@env_config
@pythonpath
@click.option("--episodes", type=click.IntRange(1), help="Episodes to play (default: 10).")
@click.option("--steps", type=click.IntRange(1), help="Play at least so many steps instead.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Decides resets and sampled actions (default: the seed of the run).",
)
@click.option(
    "--action",
    type=click.Choice(["sample", "mode"]),
    help="Sample actions, or take the most likely one (default: as configured).",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    help="Write returns, lengths and their statistics here, as JSON.",
)
@click.option(
    "--video",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE.mp4",
    help="Film the episodes: as the environment draws itself, else its image observations.",
)
@click.option("--render", is_flag=True, help="Show the environment in a window while it is played.")
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def evaluate(
    checkpoint: str, algorithm: str | None, pythonpath: tuple[str, ...], **said: Any
) -> None:
    """Play episodes with CHECKPOINT and report their returns.

    CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest that is
    whole. Nothing of it is executed: an environment of your own is made if --env names it.

    The mean return comes with its 95 % confidence interval (Student's t) from two episodes on.
    The same --seed gives the same returns.
    """
    from rllib_cli.evaluating import evaluate_checkpoint
    from rllib_cli.import_path import extend_import_path

    extend_import_path(pythonpath)
    if algorithm not in (None, "DreamerV3"):
        raise InputError(f"Only checkpoints of DreamerV3 can be played, not of {algorithm}.")
    if said["episodes"] is None and said["steps"] is None:
        said["episodes"] = 10
    evaluate_checkpoint(checkpoint, **said)
