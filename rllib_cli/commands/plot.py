"""``rllib plot``: its grammar."""

from typing import Any

import click


@click.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.option("--out", "-o", default="curve.png", show_default=True, help="PNG file to write.")
@click.option(
    "--by",
    type=click.Choice(["steps", "time"]),
    default="steps",
    show_default=True,
    help="Env steps, or time since the run began.",
)
def plot(directories: tuple[str, ...], out: str, by: Any) -> None:
    """Draw the returns of runs.

    DIR is a trial, an experiment, or anything with these below it. Trials of one experiment that
    differ by their seeds alone become one line, their mean, in a band from least to most; each
    environment has a panel.
    """
    from rllib_cli.plotting import plot

    plot(directories, out, by)
    click.echo(out)
