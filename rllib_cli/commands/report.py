"""``rllib report``: a page about runs."""

from pathlib import Path

import click

from rllib_cli.errors import InputError, told_as


@click.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.option("--out", "-o", default="report.html", show_default=True, help="HTML file to write.")
def report(directories: tuple[str, ...], out: str) -> None:
    """Write a page about runs: one file, to be opened in any browser, online or not.

    DIR is a trial, an experiment, or anything with these below it. The page has their returns
    beside published ones, losses and what they mean, dreams, speed, memory, options, and what
    looks wrong.
    """
    from rllib_dreamerv3.reports.page import build_page
    from rllib_dreamerv3.reports.runs import find_runs

    path = Path(out).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out has to be an HTML file such as report.html, not {out}.")
    with told_as(InputError, 0):
        runs = find_runs([Path(directory) for directory in directories])
        page = build_page(runs)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    click.echo(out)
