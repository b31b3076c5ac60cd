"""``rllib report``: writes an HTML page about runs."""

from pathlib import Path

import click

from rllib_cli.errors import InputError, reraise_as


@click.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.option("--out", "-o", default="report.html", show_default=True, help="HTML file to write.")
def report(directories: tuple[str, ...], out: str) -> None:
    """Write an HTML page about runs: one file that needs no network.

    DIR is a trial, an experiment, or a directory above them. The page shows returns and published
    results, losses with explanations, dreams, speed, memory, options and the doctor's findings.
    """
    from rllib_dreamerv3.reports.page import build_page
    from rllib_dreamerv3.reports.picture_files import replacing_file
    from rllib_dreamerv3.reports.runs import find_runs

    path = Path(out).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out must be an HTML file such as report.html, not {out}.")
    with reraise_as(InputError, 0):
        runs = find_runs([Path(directory) for directory in directories])
        page = build_page(runs)
        with replacing_file(path) as written:
            written.write_text(page, encoding="utf-8")
    click.echo(out)
