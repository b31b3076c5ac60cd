"""Writes a directory so that its name never stands for half of it, or for nothing.

All files are written into a hidden directory beside the final one, brought to the disk, and take
the final name in one step. Whatever ends the process, the name stands for the old content or for
the new one.
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
# What replacing() has yielded, inside of its block.
_being_written: ContextVar[Path | None] = ContextVar("being_written", default=None)
# Of Linux' renameat2: from the current directory, and both names change places.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def replacing(target: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """Yields an empty directory that takes the place of ``target`` when the block has ended.

    If the block raises, ``target`` is as it was. What a process left that was killed while it
    wrote to the same target is removed.

    Inside of another such block, a target below its directory is that directory itself: it is
    brought to the disk and takes its name with all the rest.

    Args:
        target: The directory to write; parents are created. A link is followed.
        may_replace: Whether an existing directory that is not empty may be replaced.

    Yields:
        Where to write instead.

    Raises:
        CheckpointError: There is something at ``target`` that may not be replaced.
        OSError: The disk is full, or writing is not allowed.
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
    # The lock ends with the process, however that ends: what is not locked was left behind.
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
    """Gives a directory its name back, where a process was killed between two renames.

    That can only have happened on file systems on which two directories cannot change places.
    """
    if target.exists() or not target.parent.is_dir():
        return
    for older in target.parent.glob(f".{_escaped(target.name)}.*.{_OLDER}"):
        with contextlib.suppress(OSError):
            older.rename(target)
            return


def refuse_foreign(target: Path, may_replace: Callable[[Path], bool]) -> None:
    """Raises CheckpointError if there is something at ``target`` that may not be replaced."""
    if not target.exists():
        return
    if not target.is_dir():
        raise CheckpointError(f"{target} is a file. Choose another directory.")
    content = sorted(entry.name for entry in target.iterdir())
    if content and not may_replace(target):
        raise not_overwritten(str(target), target, content[0])


def not_overwritten(name: str, directory: Path, content: str) -> CheckpointError:
    """The error for a directory that is not to be replaced.

    Args:
        name: What it is called.
        directory: Where its manifest and description can be read, if it has these.
        content: Something that it holds.
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
    """Afterwards ``target`` is the new directory, and the old one is gone or beside it."""
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
    """Lets two directories change their names in one step; False where that does not exist."""
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
    """Makes all that is below a directory outlive a power failure."""
    for folder, _, names in os.walk(directory):
        for name in names:
            _flush(Path(folder, name))
        _flush(Path(folder))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot do this with directories, and none of these loses them.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _sibling(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.{kind}")


def _escaped(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
