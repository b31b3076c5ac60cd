"""Replaces a directory atomically.

All files are written to a hidden directory beside the target and synced to disk, then the two
directories are exchanged. If the process ends at any point, the target has either the old or the
new content.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

from rllib_dreamerv3.checkpoints.manifest import is_checkpoint, is_exported
from rllib_dreamerv3.errors import CheckpointError

_TEMPORARY, _OLDER = "tmp", "old"
# The directory that replacing() has yielded, inside of its block.
_being_written: ContextVar[Path | None] = ContextVar("being_written", default=None)
# Arguments of Linux' renameat2: relative to the current directory, and exchange both names.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def replacing(target: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """Yields an empty directory that replaces ``target`` on exit.

    If the block raises, ``target`` is unchanged. Removes leftovers of processes that were killed
    while writing to the same target.

    Inside of another such block, a target below its directory is that directory itself: it is
    synced to disk and renamed with the rest.

    Args:
        target: The directory to write; parents are created. Links are followed.
        may_replace: Whether an existing directory that is not empty may be replaced.

    Yields:
        The directory to write to instead.

    Raises:
        CheckpointError: If the content of ``target`` may not be replaced.
        OSError: If the disk is full, or writing is not permitted.
    """
    target = Path(os.path.realpath(target))
    refuse_foreign(target, may_replace)
    if _being_written.get() in target.parents:
        target.mkdir(parents=True, exist_ok=True)
        yield target
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    recover(target)
    temporary = _sibling(target, _TEMPORARY)
    temporary.mkdir()
    # The lock ends with the process: an unlocked directory is a leftover.
    lock = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_leftovers(target, keep=temporary)
        token = _being_written.set(temporary)
        try:
            yield temporary
        finally:
            _being_written.reset(token)
        if target.is_dir():
            temporary.chmod(target.stat().st_mode)
        _to_disk(temporary)
        _put_in_place(temporary, target)
    finally:
        os.close(lock)
        shutil.rmtree(temporary, ignore_errors=True)


def recover(target: Path) -> None:
    """Restores a directory's name if a process was killed between two renames.

    Only possible on file systems that cannot exchange two directories.
    """
    if target.exists() or not target.parent.is_dir():
        return
    for older in target.parent.glob(f".{_escaped(target.name)}.*.{_OLDER}"):
        with contextlib.suppress(OSError):
            older.rename(target)
            return


def refuse_foreign(target: Path, may_replace: Callable[[Path], bool]) -> None:
    """Raises CheckpointError if the content of ``target`` may not be replaced."""
    if not target.exists():
        return
    if not target.is_dir():
        raise CheckpointError(f"{target} is a file. Choose another directory.")
    content = sorted(entry.name for entry in target.iterdir())
    if content and not may_replace(target):
        raise not_overwritten(str(target), target, content[0])


def not_overwritten(name: str, directory: Path, content: str) -> CheckpointError:
    """Builds the error for a directory that may not be replaced.

    Args:
        name: Name of the directory in the message.
        directory: A local directory with its manifest and ``policy.json``, if it has these.
        content: Name of any file in it.
    """
    if is_exported(directory):
        found = "is an exported policy"
    elif is_checkpoint(directory):
        found = "is a checkpoint"
    else:
        found = f"is not a checkpoint (it holds {content!r})"
    return CheckpointError(f"{name} {found} and is not overwritten. Choose another directory.")


def _remove_leftovers(target: Path, keep: Path) -> None:
    for kind in (_TEMPORARY, _OLDER):
        for left in target.parent.glob(f".{_escaped(target.name)}.*.{kind}"):
            if left == keep or not left.is_dir():
                continue
            with contextlib.suppress(OSError):
                lock = os.open(left, os.O_RDONLY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(lock)


def _put_in_place(temporary: Path, target: Path) -> None:
    """Makes ``temporary`` the new ``target``; the old one is removed or now ``temporary``."""
    if not target.exists():
        temporary.rename(target)
    elif not _exchange(temporary, target):
        older = _sibling(target, _OLDER)
        target.rename(older)
        try:
            temporary.rename(target)
        except OSError:
            older.rename(target)
            raise
        shutil.rmtree(older, ignore_errors=True)
    _flush(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two directories atomically; returns False if that is not supported."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _to_disk(directory: Path) -> None:
    """Syncs a directory and all its files to disk."""
    for folder, _, names in os.walk(directory):
        for name in names:
            _flush(Path(folder, name))
        _flush(Path(folder))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot sync directories; these do not need it.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _sibling(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.{kind}")


def _escaped(name: str) -> str:
    """Escapes a name for use in a glob pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
