"""Checks of an export's folder that need no TensorFlow, so that they fail at once."""

import tempfile
from pathlib import Path

from rllib_dreamerv3.checkpoints.directory import replaceable_files
from rllib_dreamerv3.checkpoints.manifest import files_of_exported
from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.portable.described import read_described


def check_folder(out: Path) -> None:
    """Checks that a policy can be exported to a folder.

    Args:
        out: Folder to write; its parents are created.

    Raises:
        CheckpointError: If ``out`` holds something else than an exported policy.
        ExportError: If ``out`` cannot be written.
    """
    parent = out.resolve().parent
    try:
        replaceable_files(out, files_of_exported)
        parent.mkdir(parents=True, exist_ok=True)
        # Permissions do not tell: file systems can be full, or read-only, or take no files at all.
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{out.name}."):
            pass
    except OSError as error:
        raise ExportError(
            f"{out} cannot be written: {error.strerror}. Choose another directory."
        ) from error


def formats_there(out: Path) -> list[str]:
    """Which models an exported policy has by now, that writing to its folder would replace.

    Args:
        out: A folder, which may hold something else, or not be there.

    Returns:
        Names in ``policy.json``; none where it cannot be read.
    """
    try:
        return list(read_described(out)["models"])
    except (ValueError, KeyError, TypeError):
        return []
