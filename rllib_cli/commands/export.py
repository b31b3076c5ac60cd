"""``rllib export``: writes the policy of a checkpoint for other programs."""

from collections.abc import Sequence
from pathlib import Path

import click

from rllib_cli.errors import RunError, told_as
from rllib_cli.inputs import find_checkpoint
from rllib_cli.libraries import loading_libraries

FORMATS = ("savedmodel", "litert", "numpy", "onnx")


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
    help="Of the model; may be repeated.",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def export(checkpoint: str, out: str, formats: tuple[str, ...], verbosity: int) -> None:
    """Write the policy of CHECKPOINT for programs that have neither Ray nor this package.

    CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest that is
    whole. Nothing of it is executed. The folder has the models, policy.json, code that acts with
    NumPy alone, and a README.md that shows how.
    """
    export_checkpoint(checkpoint, out=out, formats=formats, verbosity=verbosity)


def export_checkpoint(checkpoint: str, *, out: str, formats: Sequence[str], verbosity: int) -> None:
    """Writes an exported policy to a folder, and says what is in it.

    Args:
        checkpoint: As for :func:`find_checkpoint`.
        out: Folder to write.
        formats: Of the models.
        verbosity: From 1 on, errors come with their traceback.

    Raises:
        RunError: If there is no checkpoint, or it cannot be exported.
    """
    from rllib_cli.display import open_display

    path, problems = find_checkpoint(checkpoint)
    target = Path(out).expanduser()
    with told_as(RunError, verbosity):
        from rllib_dreamerv3.exporting.checks import check_export, formats_there

        check_export(path, target, formats)
        before = formats_there(target)
    with open_display(plain=verbosity > 0) as display, told_as(RunError, verbosity):
        for problem in problems:
            display.say(problem)
        display.say(f"Exporting {path}")
        display.wait("loading TensorFlow and the checkpoint")
        with loading_libraries(verbosity):
            from rllib_dreamerv3.exporting.folder import export_policy

            described = export_policy(path, target, formats)
        display.wait("")
        for name, model in described["models"].items():
            size = sum(
                file["size"]
                for file_name, file in described["files"].items()
                if file_name == model["path"] or file_name.startswith(f"{model['path']}/")
            )
            display.say(f"{name:14} {_in_bytes(size):>10}  {target / model['path']}")
        gone = [name for name in before if name not in described["models"]]
        if gone:
            display.say(
                f"No longer there: {', '.join(gone)} of the policy that was exported to {target} "
                "before. A folder has the formats of one export: name all that it is to have."
            )
        display.say(f"How to act with it: {target / 'README.md'}")


def _in_bytes(size: int) -> str:
    """A size as people read it: small models are no "0.0 MB"."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
