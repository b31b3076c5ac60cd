"""``rllib report``: a page about runs."""

from collections.abc import Sequence
from pathlib import Path

from rllib_cli.errors import InputError, told_as
from rllib_dreamerv3.reports.page import build_page
from rllib_dreamerv3.reports.runs import find_runs


def report(directories: Sequence[str], out: str) -> None:
    """Writes a page about all runs.

    Args:
        directories: Of trials or experiments.
        out: HTML file to write.

    Raises:
        InputError: If a directory has no results, or the file cannot be written.
    """
    path = Path(out).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out has to be an HTML file such as report.html, not {out}.")
    with told_as(InputError, 0):
        runs = find_runs([Path(directory) for directory in directories])
        page = build_page(runs)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
