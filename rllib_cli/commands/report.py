"""``rllib report``: its grammar."""

import click


@click.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.option("--out", "-o", default="report.html", show_default=True, help="HTML file to write.")
def report(directories: tuple[str, ...], out: str) -> None:
    """Write a page about runs: one file, to be opened in any browser, online or not.

    DIR is a trial, an experiment, or anything with these below it. The page has their returns
    beside published ones, losses and what they mean, dreams, speed, memory, options, and what
    looks wrong.
    """
    from rllib_cli.reporting import report

    report(directories, out)
    click.echo(out)
