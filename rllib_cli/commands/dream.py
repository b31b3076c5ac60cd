"""``rllib dream``: its grammar."""

from typing import Any

import click


@click.command()
@click.argument("checkpoint")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    help="File that ends in .mp4, .gif or .png (default: dream.mp4; dream.png without images).",
)
@click.option("--rows", type=click.IntRange(1), default=4, help="Sequences (default: 4).")
@click.option(
    "--context",
    type=click.IntRange(1),
    default=5,
    help="Records of each that imagination sees (default: 5).",
)
@click.option("--length", type=click.IntRange(2), default=50, help="Records of each (default: 50).")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    help="Decides sequences and samples (default: 0).",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def dream(checkpoint: str, **said: Any) -> None:
    """Show what the world model of CHECKPOINT imagines of its own replay.

    Truth, reconstruction, imagination and error beside each other: a video of images, plots of
    numbers. CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest
    that is whole. Nothing of it is executed, and no environment is made.
    """
    from rllib_cli.dreaming import dream_of

    dream_of(checkpoint, **said)
