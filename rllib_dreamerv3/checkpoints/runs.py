"""The checkpoints of a run's directory: which are whole, and which of these is the newest."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rllib_dreamerv3.checkpoints.manifest import (
    MANIFEST,
    Manifest,
    is_checkpoint,
    is_exported,
    verify,
)
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


def newest_complete(directory: Path) -> tuple[SavedCheckpoint | None, list[SavedCheckpoint]]:
    """The newest checkpoint that verifies, None if none does; and the damaged ones after it."""
    damaged: list[SavedCheckpoint] = []
    for saved in newest_first(directory):
        if saved.manifest is not None:
            return saved, damaged
        damaged.append(saved)
    return None, damaged


def find_checkpoint(path: Path) -> tuple[Path, list[str]]:
    """Finds the checkpoint that a path means.

    Args:
        path: A checkpoint, or the results of a trial or an experiment that hold some.

    Returns:
        The checkpoint itself, or the newest one below that verifies; and what is wrong with newer
        ones.

    Raises:
        CheckpointError: If there is none.
    """
    if not path.is_dir():
        raise CheckpointError(f"There is no directory {path}.")
    if is_checkpoint(path) or is_exported(path):
        return path, []
    whole, problems = [], []
    for folder in {found.parent for found in [*path.glob(PATTERN), *path.glob(f"*/{PATTERN}")]}:
        saved, damaged = newest_complete(folder)
        problems += [one.problem for one in damaged]
        if saved and saved.manifest:
            whole.append((saved.manifest.created, str(saved.path)))
    if not whole:
        none = f"Neither it nor a checkpoint_* directory below it has a {MANIFEST}."
        raise CheckpointError(
            f"{path} is no checkpoint of DreamerV3, and holds none that is whole. "
            f"{problems[0] if problems else none}"
        )
    return Path(max(whole)[1]), problems
