"""``rllib plot``: returns of runs as one picture."""

from collections.abc import Sequence
from pathlib import Path

from rllib_cli.errors import InputError, told_as
from rllib_dreamerv3.reports.drawing import By, draw_returns, write_png
from rllib_dreamerv3.reports.runs import find_runs


def plot(directories: Sequence[str], out: str, by: By) -> None:
    """Draws the returns of all runs.

    Args:
        directories: Of trials or experiments.
        out: PNG file to write.
        by: What they are told by.

    Raises:
        InputError: If a directory has no results, or the file cannot be written.
    """
    path = Path(out).expanduser()
    if path.suffix.lower() != ".png":
        raise InputError(f"--out has to be a PNG file such as curve.png, not {out}.")
    with told_as(InputError, 0):
        runs = find_runs([Path(directory) for directory in directories])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(draw_returns([run.curve for run in runs], by), path)
