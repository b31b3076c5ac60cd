"""Reads files of a run's folder, which may be somebody else's.

A link could lead to a private file, which a page that is passed on would then contain; a device or
a pipe has no end.
"""

import stat
from pathlib import Path

from rllib_dreamerv3.errors import CheckpointError


def checked(path: Path, folder: Path, max_bytes: int) -> Path:
    """Return the path of a file if it is safe to read.

    Args:
        path: The file, in the folder or below it.
        folder: The folder of the run.
        max_bytes: Size of the largest file that is read.

    Raises:
        CheckpointError: If the path leads out of the folder, or to anything but a file, or the file
            is too large.
        OSError: If there is no such file.
    """
    real = path.resolve(strict=True)
    if not real.is_relative_to(folder.resolve()):
        raise CheckpointError(f"{path} is a link that leads out of {folder}; it is not read.")
    found = real.stat()
    if not stat.S_ISREG(found.st_mode):
        raise CheckpointError(f"{path} is not a regular file; it is not read.")
    if found.st_size > max_bytes:
        raise CheckpointError(
            f"{path} is too large to be read: {found.st_size / 1e6:,.1f} MB, of at most "
            f"{max_bytes / 1e6:,.0f} MB."
        )
    return real


def read_text(path: Path, folder: Path, max_bytes: int) -> str:
    """Read a text file; raise as :func:`checked`, or ValueError if it is not UTF-8."""
    return checked(path, folder, max_bytes).read_text(encoding="utf-8")
