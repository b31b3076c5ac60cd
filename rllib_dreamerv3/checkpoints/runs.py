"""Finds the checkpoints in a run's directory, and the newest valid one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rllib_dreamerv3.checkpoints import counters_file, policy_file, tensors
from rllib_dreamerv3.checkpoints.files import POLICY_FILE
from rllib_dreamerv3.checkpoints.manifest import (
    MANIFEST,
    Manifest,
    damaged,
    is_checkpoint,
    is_exported,
    verify,
)
from rllib_dreamerv3.checkpoints.named import locate
from rllib_dreamerv3.checkpoints.untrusted import read_json
from rllib_dreamerv3.errors import CheckpointError

PREFIX = "checkpoint_"
PATTERN = f"{PREFIX}[0-9]*"


class SavedCheckpoint(NamedTuple):
    """A checkpoint of a run.

    Attributes:
        path: Its directory.
        manifest: Its manifest; None if it is damaged.
        problem: Message about the damage; empty if it is valid.
    """

    path: Path
    manifest: Manifest | None
    problem: str


def newest_first(directory: Path) -> Iterator[SavedCheckpoint]:
    """Yield the checkpoints in a trial's directory, newest first; verify each lazily."""
    for path in sorted(directory.glob(PATTERN), key=_number, reverse=True):
        if path.is_dir():
            try:
                yield SavedCheckpoint(path, _verified(path), "")
            except CheckpointError as error:
                yield SavedCheckpoint(path, None, str(error))


def _number(path: Path) -> tuple[int, str]:
    digits = path.name.removeprefix(PREFIX)
    return int(digits) if digits.isdecimal() else -1, path.name


def _verified(directory: Path) -> Manifest:
    """Verify a checkpoint, and that its files are as such files are.

    A file may have been written so, with the right checksum.
    """
    manifest = verify(directory)
    for name in manifest.files:
        path = directory / name
        if name == POLICY_FILE:
            policy_file.read(directory)
        elif path.name == counters_file.COUNTERS_FILE:
            counters_file.read(path.parent)
        elif path.suffix == ".safetensors":
            tensors.check(path)
        elif path.suffix == ".json":
            try:
                read_json(path)
            except (OSError, ValueError) as error:
                raise damaged(path, str(error), directory) from error
    return manifest


def newest_complete(directory: Path) -> tuple[SavedCheckpoint | None, list[SavedCheckpoint]]:
    """Return the newest valid checkpoint, or None, and the damaged ones that are newer."""
    damaged: list[SavedCheckpoint] = []
    for saved in newest_first(directory):
        if saved.manifest is not None:
            return saved, damaged
        damaged.append(saved)
    return None, damaged


def newest_policy(directory: Path) -> policy_file.PolicyFile | None:
    """Return the policy file of a trial's newest checkpoint; None without a readable one.

    Verify nothing else, which would read all of replay.
    """
    for path in sorted(directory.glob(PATTERN), key=_number, reverse=True):
        with contextlib.suppress(CheckpointError):
            return policy_file.read(path)
    return None


def find_checkpoint(path: str | Path) -> tuple[Path, list[str]]:
    """Find a checkpoint by its path or name, or the path of its trial or experiment.

    Args:
        path: A checkpoint, or the directory of a trial or an experiment; or a name, see
            :func:`~rllib_dreamerv3.checkpoints.named.locate`.

    Returns:
        The checkpoint itself, or the newest valid one in the directory; and messages about newer,
        damaged ones.

    Raises:
        CheckpointError: If there is none.
    """
    path = locate(path)
    if not path.is_dir():
        raise CheckpointError(f"There is no directory {path}.")
    if is_checkpoint(path) or is_exported(path):
        return path, []
    complete, problems = [], []
    for folder in {found.parent for found in [*path.glob(PATTERN), *path.glob(f"*/{PATTERN}")]}:
        saved, damaged = newest_complete(folder)
        problems += [one.problem for one in damaged]
        if saved and saved.manifest:
            complete.append((saved.manifest.created, str(saved.path)))
    if not complete:
        none = f"Neither it nor a checkpoint_* directory below it has a {MANIFEST}."
        raise CheckpointError(
            f"{path} is not a checkpoint of DreamerV3, and contains no complete one. "
            f"{problems[0] if problems else none}"
        )
    return Path(max(complete)[1]), problems
