"""The location of a checkpoint: a local directory, or one in a remote file system.

Checkpoints are written and verified locally. Remote ones are copied as complete directories.
"""

import contextlib
import re
import tempfile
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.fs
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem as FsspecLocalFileSystem
from ray.train import Checkpoint

from rllib_dreamerv3.checkpoints.directory import (
    OwnFiles,
    is_taken,
    not_overwritten,
    not_part_of_checkpoint,
    recover,
    replacing,
)
from rllib_dreamerv3.checkpoints.files import POLICY_FILE
from rllib_dreamerv3.checkpoints.manifest import MANIFEST
from rllib_dreamerv3.errors import CheckpointError

_URI = re.compile(r"^(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*):/")


@dataclass(frozen=True)
class CheckpointLocation:
    """A local or remote directory.

    Attributes:
        path: Absolute local path, or the path within ``filesystem``.
        filesystem: The remote file system; None for a local path.
    """

    path: str
    filesystem: pyarrow.fs.FileSystem | None = None

    @classmethod
    def of(
        cls,
        path: "str | Path | Checkpoint",
        filesystem: "pyarrow.fs.FileSystem | AbstractFileSystem | None" = None,
    ) -> "CheckpointLocation":
        """Resolve any path that RLlib accepts.

        Args:
            path: A path, absolute or relative, possibly with ``~``; a URI, including ``file://``;
                or a Ray ``Checkpoint``.
            filesystem: The PyArrow or fsspec file system of ``path``.

        Returns:
            The location.

        Raises:
            CheckpointError: If ``path`` is a URI that was converted to a ``Path``, which removes a
                slash, or has a scheme that PyArrow does not support.
        """
        if isinstance(path, Checkpoint):
            path, filesystem = path.path, filesystem or path.filesystem
        uri = _URI.match(str(path))
        if uri and uri["scheme"].lower() == "file":
            return cls._local(unquote(urlsplit(str(path)).path))
        if uri and isinstance(path, Path):
            raise CheckpointError(
                f"{str(path)!r} was a URI before it became a Path, which merged its slashes. Pass "
                "it as a string."
            )
        if filesystem is None and uri:
            try:
                filesystem, path = pyarrow.fs.FileSystem.from_uri(str(path))
            except (pyarrow.ArrowInvalid, OSError) as error:
                raise CheckpointError(f"{path} cannot be reached: {error}") from error
        return cls._within(filesystem, str(path))

    @classmethod
    def _within(cls, filesystem: Any, path: str) -> "CheckpointLocation":
        if filesystem is None or isinstance(
            filesystem, pyarrow.fs.LocalFileSystem | FsspecLocalFileSystem
        ):
            return cls._local(path)
        if isinstance(filesystem, AbstractFileSystem):
            path = str(filesystem._strip_protocol(path))
            filesystem = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem))
        if isinstance(filesystem, pyarrow.fs.SubTreeFileSystem):
            inside = f"{filesystem.base_path.rstrip('/')}/{path.lstrip('/')}"
            return cls._within(filesystem.base_fs, inside)
        return cls(path.rstrip("/"), filesystem)

    @classmethod
    def _local(cls, path: str) -> "CheckpointLocation":
        return cls(str(Path(path).expanduser().absolute()))

    def __str__(self) -> str:
        return self.path

    @contextlib.contextmanager
    def writing(self, own_files: OwnFiles) -> Iterator[Path]:
        """Yield an empty local directory that becomes the content of this location on exit.

        Files of others are kept.

        In a remote file system an older checkpoint is replaced by renaming, or, where directories
        cannot be renamed (object stores), by overwriting: a reader then detects a mixture, but the
        older checkpoint is lost.

        Raises:
            CheckpointError: If the existing content may not be replaced.
            OSError: If writing failed. The previous content is unchanged.
        """
        if self.filesystem is None:
            with replacing(Path(self.path), own_files) as directory:
                yield directory
            return
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder, "checkpoint")
            directory.mkdir()
            foreign = self._foreign_files(own_files, Path(folder, "existing"))
            yield directory
            for name in foreign:
                if is_taken(name, directory):
                    raise not_part_of_checkpoint(f"{self.path}/{name}")
            self._upload(directory, foreign)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Path]:
        """Yield a local directory with the content of this location.

        Raises:
            CheckpointError: If there is no such directory.
        """
        if self.filesystem is None:
            recover(Path(self.path))
            yield Path(self.path)
            return
        if not self._exists(self.path):
            raise CheckpointError(f"There is no directory {self.path} in {self.filesystem}.")
        with tempfile.TemporaryDirectory() as folder:
            pyarrow.fs.copy_files(self.path, folder, source_filesystem=self.filesystem)
            yield Path(folder)

    def upload(self, file: Path, name: str) -> str:
        """Copy a local file into this remote directory.

        Args:
            file: The local file.
            name: Path within the directory, with "/".

        Returns:
            Its path within the file system.

        Raises:
            OSError: If copying failed.
        """
        assert self.filesystem is not None
        path = f"{self.path}/{name}"
        self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(file.read_bytes())
        return path

    def _exists(self, path: str) -> bool:
        assert self.filesystem is not None
        (info,) = self.filesystem.get_file_info([path])
        return bool(info.type != pyarrow.fs.FileType.NotFound)

    def _foreign_files(self, own_files: OwnFiles, copy: Path) -> Collection[str]:
        """Return the names of the files of others; raise if the rest may not be replaced."""
        assert self.filesystem is not None
        selector = pyarrow.fs.FileSelector(self.path, allow_not_found=True, recursive=True)
        content = {
            info.path.removeprefix(f"{self.path}/"): info.type
            for info in self.filesystem.get_file_info(selector)
        }
        if not content:
            return ()
        copy.mkdir()
        for name in content.keys() & {MANIFEST, POLICY_FILE}:
            with self.filesystem.open_input_stream(f"{self.path}/{name}") as file:
                (copy / name).write_bytes(file.read())
        own = own_files(copy)
        if own is None:
            raise not_overwritten(self.path, copy, min(content))
        files = {name for name, kind in content.items() if kind == pyarrow.fs.FileType.File}
        return files.difference(own)

    def _upload(self, directory: Path, foreign: Collection[str]) -> None:
        assert self.filesystem is not None
        mark = uuid.uuid4().hex
        new, old = f"{self.path}.{mark}.tmp", f"{self.path}.{mark}.old"
        self._copy_to(directory, new)
        try:
            if self._exists(self.path):
                self.filesystem.move(self.path, old)
            self.filesystem.move(new, self.path)
        # PyArrow raises NotImplementedError for file systems that cannot move directories, such as
        # object stores. Replacing is not atomic there; the manifest detects a mixture.
        except (OSError, NotImplementedError):
            self._copy_to(directory, self.path)
        for name in foreign:
            if self._exists(f"{old}/{name}") and not self._exists(f"{self.path}/{name}"):
                self.filesystem.create_dir(f"{self.path}/{name}".rpartition("/")[0], recursive=True)
                self.filesystem.copy_file(f"{old}/{name}", f"{self.path}/{name}")
        for left in (new, old):
            if self._exists(left):
                self.filesystem.delete_dir(left)

    def _copy_to(self, directory: Path, path: str) -> None:
        assert self.filesystem is not None
        self.filesystem.create_dir(path, recursive=True)
        pyarrow.fs.copy_files(
            str(directory),
            path,
            source_filesystem=pyarrow.fs.LocalFileSystem(),
            destination_filesystem=self.filesystem,
        )
