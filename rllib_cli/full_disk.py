"""The error that a run ends with when the disk of its results is full."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rllib_cli.errors import RunError

# With less free space, Tune cannot even write its report of a failure.
_MIN_FREE_BYTES = 1 << 20


@contextmanager
def full_disk_reported(directory: str) -> Iterator[None]:
    """Raise RunError for any exception if the disk of the results is full."""
    try:
        yield
    except Exception as error:
        if not is_full(directory):
            raise
        raise RunError(full_disk(directory)) from error


def is_full(directory: str) -> bool:
    """Whether the disk of a directory is full; False if the directory does not exist."""
    return Path(directory).is_dir() and shutil.disk_usage(directory).free < _MIN_FREE_BYTES


def full_disk(directory: str) -> str:
    """Say that the disk of a directory is full, and what to do."""
    return (
        f"The disk of {directory} is full. Earlier checkpoints are complete: free some space, then "
        "repeat the command with --resume."
    )
