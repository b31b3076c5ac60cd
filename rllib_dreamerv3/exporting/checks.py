"""Checks of an export's folder that need no TensorFlow, so that they fail early."""

import tempfile
from pathlib import Path

from rllib_dreamerv3.checkpoints.directory import replaceable_files
from rllib_dreamerv3.checkpoints.manifest import files_of_exported
from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.portable.described import read_described


def check_folder(out: Path) -> None:
    """Check that a policy can be exported to a folder.

    Args:
        out: Folder to write; its parents are created.

    Raises:
        CheckpointError: If ``out`` contains something other than an exported policy.
        ExportError: If ``out`` is not writable.
    """
    parent = out.resolve().parent
    try:
        replaceable_files(out, files_of_exported)
        parent.mkdir(parents=True, exist_ok=True)
        # Checking permissions is not enough: file systems can be full, read-only or virtual.
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{out.name}."):
            pass
    except OSError as error:
        raise ExportError(
            f"{out} cannot be written: {error.strerror}. Choose another directory."
        ) from error


def formats_there(out: Path) -> list[str]:
    """Format of an existing export that would be overwritten.

    Args:
        out: A folder, which may contain something else or not exist.

    Returns:
        Names in ``policy.json``; empty if it cannot be read.
    """
    try:
        return list(read_described(out)["models"])
    except (ValueError, KeyError, TypeError):
        return []
