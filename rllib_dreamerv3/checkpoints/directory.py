"""Replaces a directory atomically.

All files are written to a hidden directory beside the target and synced to disk, then the two
directories are exchanged. If the process ends at any point, the target has either the old or the
new content. Files that others put into it are kept.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from pathlib import Path

from rllib_dreamerv3.checkpoints.manifest import is_checkpoint, is_exported
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.startup.system import mounts_in

OwnFiles = Callable[[Path], Collection[str] | None]
"""Returns the names of the files in a directory, with "/", that a new content replaces; None if it
may not be replaced."""

_TEMPORARY, _OLDER = "tmp", "old"
# The directory that replacing() has yielded, inside its block.
_being_written: ContextVar[Path | None] = ContextVar("being_written", default=None)
# Arguments of Linux' renameat2: relative to the current directory, and exchange both names.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def replacing(target: Path, own_files: OwnFiles) -> Iterator[Path]:
    """Yield an empty directory that replaces ``target`` on exit.

    Files of others in ``target``, such as a user's notes, are kept. If the block raises,
    ``target`` is unchanged. Remove leftovers of processes that were killed while writing to the
    same target.

    Inside another such block, a target below its directory is that directory itself: it is
    synced to disk and renamed with the rest.

    Args:
        target: The directory to write; parents are created. Links are followed.
        own_files: What may be replaced in an existing directory that is not empty.

    Yields:
        The directory to write to instead.

    Raises:
        CheckpointError: If the content of ``target`` may not be replaced, or cannot be in one
            step, because it is a mount point or the working directory is in it; or if a file of
            others has the name of a new one.
        OSError: If the disk is full, or writing is not permitted.
    """
    target = Path(os.path.realpath(target))
    replaceable_files(target, own_files)
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
        # This takes longest. Files that others write meanwhile are kept, too.
        _to_disk(temporary)
        if target.is_dir():
            temporary.chmod(target.stat().st_mode)
            _keep_foreign(target, replaceable_files(target, own_files), temporary)
        _put_in_place(temporary, target)
    finally:
        os.close(lock)
        shutil.rmtree(temporary, ignore_errors=True)


def recover(target: Path) -> None:
    """Restore a directory's name if a process was killed between two renames.

    Only possible on file systems that cannot exchange two directories.
    """
    if target.exists() or not target.parent.is_dir():
        return
    for older in target.parent.glob(f".{_escaped(target.name)}.*.{_OLDER}"):
        with contextlib.suppress(OSError):
            older.rename(target)
            return


def replaceable_files(target: Path, own_files: OwnFiles) -> Collection[str]:
    """Return the names of the files in ``target`` that may be replaced.

    Raises:
        CheckpointError: If the directory may not be, or cannot be, replaced.
    """
    if not target.exists():
        return ()
    if not target.is_dir():
        raise CheckpointError(f"{target} is a file. Choose another directory.")
    if mounts := mounts_in(target.resolve()):
        raise _mount_point(target, mounts[0])
    if _has_working_directory(target):
        raise CheckpointError(
            f"{target} cannot be replaced: it is, or contains, the working directory. Choose "
            f"another directory, such as {target / 'checkpoint'}."
        )
    content = sorted(entry.name for entry in target.iterdir())
    own = own_files(target) if content else ()
    if own is None:
        raise not_overwritten(str(target), target, content[0])
    return own


def _has_working_directory(target: Path) -> bool:
    """Whether replacing ``target`` would leave this process in a removed directory."""
    try:
        return Path.cwd().is_relative_to(target)
    except FileNotFoundError:  # It was removed before.
        return False


def not_overwritten(name: str, directory: Path, content: str) -> CheckpointError:
    """Build the error for a directory that may not be replaced.

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


def is_taken(name: str, written: Path) -> bool:
    """Whether a file ``name``, with "/", cannot be added to ``written``."""
    folders = Path(name).parents
    return os.path.lexists(written / name) or any((written / x).is_file() for x in folders)


def not_part_of_checkpoint(name: str) -> CheckpointError:
    """Build the error for a file of others with the name of a new file or folder."""
    return CheckpointError(
        f"{name} is not part of the checkpoint there, and the new one has a file or folder of that "
        "name. Nothing was overwritten: rename it, or choose another directory."
    )


def _mount_point(target: Path, mount: Path) -> CheckpointError:
    if mount != target.resolve():
        # Removing the old content would delete the files of the mounted directory.
        return CheckpointError(
            f"{target} contains the mount point {mount} and is not replaced. Unmount it, or choose "
            "another directory."
        )
    return CheckpointError(
        f"{target} is a mount point, which cannot be replaced in one step. Choose a directory "
        f"inside it, such as {target / 'checkpoint'}."
    )


def _keep_foreign(target: Path, own: Collection[str], written: Path) -> None:
    """Put the files of others into the new content.

    Raises:
        CheckpointError: If the new content has a file of the same name.
    """
    changed: set[Path] = set()
    created: list[Path] = []
    for folder, folders, names in os.walk(target):
        # Links to directories are not entered, but are files of others, too.
        for name in [*names, *(x for x in folders if Path(folder, x).is_symlink())]:
            old = Path(folder, name)
            inside = old.relative_to(target)
            new = written / inside
            if inside.as_posix() in own:
                continue
            if is_taken(inside.as_posix(), written):
                raise not_part_of_checkpoint(str(old))
            for parent in reversed(inside.parents):
                if not (written / parent).exists():
                    (written / parent).mkdir()
                    created.append(parent)
            try:
                os.link(old, new, follow_symlinks=False)
            except OSError:  # No hard links on this file system.
                shutil.copy2(old, new, follow_symlinks=False)
                if not old.is_symlink():
                    _flush(new)
            changed |= {written / parent for parent in inside.parents}
    for path in changed:
        _flush(path)
    # Last, since permissions may forbid what was done to the folder here.
    for parent in created:
        shutil.copymode(target / parent, written / parent)


def _remove_leftovers(target: Path, keep: Path) -> None:
    for kind in (_TEMPORARY, _OLDER):
        for left in target.parent.glob(f".{_escaped(target.name)}.*.{kind}"):
            if left == keep or not left.is_dir():
                continue
            with contextlib.suppress(OSError):
                lock = os.open(left, os.O_RDONLY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if not mounts_in(left.resolve()):
                        shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(lock)


def _put_in_place(temporary: Path, target: Path) -> None:
    """Make ``temporary`` the new ``target``; the old one is removed or now ``temporary``."""
    try:
        _rename(temporary, target)
    except OSError as error:
        # Mounted since it was checked, or not on Linux.
        if error.errno == errno.EBUSY:
            raise _mount_point(target, target.resolve()) from error
        raise
    _flush(target.parent)


def _rename(temporary: Path, target: Path) -> None:
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


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two directories atomically; return False if that is not supported."""
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
    """Sync a directory and all its files to disk."""
    for folder, _, names in os.walk(directory):
        for name in names:
            # Files of others may be links, or pipes, on which opening waits.
            if stat.S_ISREG(os.lstat(Path(folder, name)).st_mode):
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
    """Escape a name for use in a glob pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
