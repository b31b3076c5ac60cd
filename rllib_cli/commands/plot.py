"""``rllib plot``: plots the returns of runs."""

from pathlib import Path
from typing import Any

import click

from rllib_cli.errors import InputError, reraise_as


@click.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.option("--out", "-o", default="curve.png", show_default=True, help="PNG file to write.")
@click.option(
    "--by",
    type=click.Choice(["steps", "time"]),
    default="steps",
    show_default=True,
    help="x axis: env steps, or time since the run started.",
)
def plot(directories: tuple[str, ...], out: str, by: Any) -> None:
    """Plot the returns of runs.

    DIR is a trial, an experiment, or a directory above them. Trials of one experiment that differ
    only in their seeds become one line, their mean, with a band from minimum to maximum. Each
    environment gets a panel.
    """
    from rllib_dreamerv3.reports.drawing import draw_returns, write_png
    from rllib_dreamerv3.reports.runs import find_runs

    path = Path(out).expanduser()
    if path.suffix.lower() != ".png":
        raise InputError(f"--out must be a PNG file such as curve.png, not {out}.")
    with reraise_as(InputError, 0):
        runs = find_runs([Path(directory) for directory in directories])
        write_png(draw_returns([run.curve for run in runs], by), path)
    click.echo(out)
