"""``rllib export``: exports the policy of a checkpoint for other programs."""

from collections.abc import Sequence
from pathlib import Path

import click

from rllib_cli.errors import RunError, reraise_as
from rllib_cli.inputs import find_checkpoint
from rllib_cli.libraries import loading_libraries
from rllib_dreamerv3.exporting import FORMATS


@click.command()
@click.argument("checkpoint")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="Folder to write."
)
@click.option(
    "--format",
    "-f",
    "formats",
    required=True,
    multiple=True,
    type=click.Choice(FORMATS),
    help="Format of the model; may be repeated.",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def export(checkpoint: str, out: str, formats: tuple[str, ...], verbosity: int) -> None:
    """Export the policy of CHECKPOINT for programs without Ray and this package.

    CHECKPOINT is a checkpoint, or a directory of results: then its newest complete checkpoint is
    used. No code from the checkpoint is executed. The folder gets the models, policy.json, Python
    code that needs only NumPy and the model's runtime, and a README.md with an example.
    """
    export_checkpoint(checkpoint, out=out, formats=formats, verbosity=verbosity)


def export_checkpoint(checkpoint: str, *, out: str, formats: Sequence[str], verbosity: int) -> None:
    """Export a policy to a folder and print what was written.

    Args:
        checkpoint: See :func:`find_checkpoint`.
        out: Folder to write.
        formats: Formats of the models.
        verbosity: From 1, print tracebacks of errors.

    Raises:
        RunError: If there is no checkpoint, or it cannot be exported.
    """
    from rllib_cli.display import open_display

    path, problems = find_checkpoint(checkpoint)
    target = Path(out).expanduser()
    with reraise_as(RunError, verbosity):
        from rllib_dreamerv3.exporting.checks import check_folder, formats_there

        check_folder(target)
        before = formats_there(target)
    with open_display(plain=verbosity > 0) as display, reraise_as(RunError, verbosity):
        for problem in problems:
            display.print(problem)
        display.print(f"Exporting {path}")
        display.set_phase("loading TensorFlow and the checkpoint")
        with loading_libraries(verbosity):
            from rllib_dreamerv3.exporting.folder import export_policy

            described = export_policy(path, target, formats)
        display.set_phase("")
        for name, model in described["models"].items():
            size = sum(
                file["size"]
                for file_name, file in described["files"].items()
                if file_name == model["path"] or file_name.startswith(f"{model['path']}/")
            )
            display.print(f"{name:14} {_format_size(size):>10}  {target / model['path']}")
        removed = [name for name in before if name not in described["models"]]
        if removed:
            display.print(
                f"Removed: {', '.join(removed)} of an earlier export to {target}. A folder has the "
                "formats of one export: list all that you need."
            )
        display.print(f"How to use it: {target / 'README.md'}")


def _format_size(size: int) -> str:
    """Format a size in MB, or in kB below 0.1 MB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
