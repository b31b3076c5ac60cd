"""Writes the policy of a checkpoint for other programs, and says what was written."""

from collections.abc import Sequence
from pathlib import Path

from rllib_cli.display import open_display
from rllib_cli.errors import RunError, told_as
from rllib_cli.evaluating import find_checkpoint
from rllib_cli.quiet import loading_libraries


def export(checkpoint: str, *, out: str, formats: Sequence[str], verbosity: int) -> None:
    """Writes an exported policy to a folder, and says what is in it.

    Args:
        checkpoint: As for :func:`find_checkpoint`.
        out: Folder to write.
        formats: Of the models.
        verbosity: From 1 on, errors come with their traceback.

    Raises:
        RunError: If there is no checkpoint, or it cannot be exported.
    """
    path, problems = find_checkpoint(checkpoint)
    target = Path(out).expanduser()
    with told_as(RunError, verbosity):
        from rllib_dreamerv3.exporting.checks import check_folder, formats_there

        check_folder(target)
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
