"""``rllib plot``: returns of runs as one picture."""

from pathlib import Path
from typing import Any

import click

from rllib_cli.errors import InputError, told_as


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
    from rllib_dreamerv3.reports.drawing import draw_returns, write_png
    from rllib_dreamerv3.reports.runs import find_runs

    path = Path(out).expanduser()
    if path.suffix.lower() != ".png":
        raise InputError(f"--out has to be a PNG file such as curve.png, not {out}.")
    with told_as(InputError, 0):
        runs = find_runs([Path(directory) for directory in directories])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(draw_returns([run.curve for run in runs], by), path)
    click.echo(out)
