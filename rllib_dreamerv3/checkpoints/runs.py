"""The checkpoints of a run's directory: which are whole, and which of these is the newest."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rllib_dreamerv3.checkpoints.manifest import Manifest, verify
from rllib_dreamerv3.errors import CheckpointError

PATTERN = "checkpoint_[0-9]*"


class SavedCheckpoint(NamedTuple):
    """A checkpoint of a run.

    Attributes:
        path: Its directory.
        manifest: What it says of itself; None if it is damaged.
        problem: What is wrong with it; empty if it is whole.
    """

    path: Path
    manifest: Manifest | None
    problem: str


def newest_first(directory: Path) -> Iterator[SavedCheckpoint]:
    """Yields the checkpoints in a trial's directory, each verified as it is asked for."""
    for path in sorted(directory.glob(PATTERN), reverse=True):
        if path.is_dir():
            try:
                yield SavedCheckpoint(path, verify(path), "")
            except CheckpointError as error:
                yield SavedCheckpoint(path, None, str(error))


def newest_whole(directory: Path) -> tuple[SavedCheckpoint | None, list[SavedCheckpoint]]:
    """The newest checkpoint that verifies, None if none does; and the damaged ones after it."""
    damaged: list[SavedCheckpoint] = []
    for saved in newest_first(directory):
        if saved.manifest is not None:
            return saved, damaged
        damaged.append(saved)
    return None, damaged
