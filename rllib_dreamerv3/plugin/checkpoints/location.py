"""Where a checkpoint is: on this machine, or in a file system that has to be copied to and from.

Checkpoints are written and verified on this machine. Others are copied, as a whole.
"""

import contextlib
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.fs
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem as FsspecLocalFileSystem
from ray.train import Checkpoint

from rllib_dreamerv3.checkpoints.directory import not_overwritten, recover, replacing
from rllib_dreamerv3.checkpoints.files import POLICY_FILE
from rllib_dreamerv3.checkpoints.manifest import MANIFEST
from rllib_dreamerv3.errors import CheckpointError

_URI = re.compile(r"^(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*):/")


@dataclass(frozen=True)
class CheckpointPlace:
    """A directory on this machine or elsewhere.

    Attributes:
        path: Absolute path on this machine, or the path within ``filesystem``.
        filesystem: None for this machine.
    """

    path: str
    filesystem: pyarrow.fs.FileSystem | None = None

    @classmethod
    def of(
        cls,
        path: "str | Path | Checkpoint",
        filesystem: "pyarrow.fs.FileSystem | AbstractFileSystem | None" = None,
    ) -> "CheckpointPlace":
        """Understands all that RLlib and its users give.

        Args:
            path: A path, absolute or relative, maybe with ``~``; a URI, ``file://`` among them; or
                a Ray ``Checkpoint``.
            filesystem: A file system of PyArrow or fsspec that ``path`` belongs to.

        Returns:
            The place.

        Raises:
            CheckpointError: If ``path`` is a URI that was made a ``Path``, which loses a slash, or
                one of a kind that PyArrow does not know.
        """
        if isinstance(path, Checkpoint):
            path, filesystem = path.path, filesystem or path.filesystem
        uri = _URI.match(str(path))
        if uri and uri["scheme"].lower() == "file":
            return cls._local(unquote(urlsplit(str(path)).path))
        if uri and isinstance(path, Path):
            raise CheckpointError(
                f"{str(path)!r} was a URI before it became a Path, which joined its slashes. Give "
                "it as text."
            )
        if filesystem is None and uri:
            try:
                filesystem, path = pyarrow.fs.FileSystem.from_uri(str(path))
            except (pyarrow.ArrowInvalid, OSError) as error:
                raise CheckpointError(f"{path} cannot be reached: {error}") from error
        return cls._within(filesystem, str(path))

    @classmethod
    def _within(cls, filesystem: Any, path: str) -> "CheckpointPlace":
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
    def _local(cls, path: str) -> "CheckpointPlace":
        return cls(str(Path(path).expanduser().absolute()))

    def __str__(self) -> str:
        """The path, for messages."""
        return self.path

    @contextlib.contextmanager
    def writing(self, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
        """Yields an empty local directory that takes this place when the block has ended.

        Elsewhere than on this machine an older checkpoint is replaced by renaming, or, where
        directories have no names of their own (object stores), by copying over it: a reader then
        notices a mixture, but the older one is gone.

        Raises:
            CheckpointError: There is something here that may not be replaced.
            OSError: Writing failed; what was here before is as it was.
        """
        if self.filesystem is None:
            with replacing(Path(self.path), may_replace) as directory:
                yield directory
            return
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder, "checkpoint")
            directory.mkdir()
            self._refuse_foreign(may_replace, Path(folder, "existing"))
            yield directory
            self._upload(directory)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Path]:
        """Yields a local directory with the content of this place.

        Raises:
            CheckpointError: There is no directory here.
        """
        if self.filesystem is None:
            recover(Path(self.path))
            yield Path(self.path)
            return
        if not self._is_there(self.path):
            raise CheckpointError(f"There is no directory {self.path} in {self.filesystem}.")
        with tempfile.TemporaryDirectory() as folder:
            pyarrow.fs.copy_files(self.path, folder, source_filesystem=self.filesystem)
            yield Path(folder)

    def upload(self, file: Path, name: str) -> str:
        """Copies a file of this machine to below this place, which is in a file system.

        Args:
            file: The file.
            name: Its name there, with "/".

        Returns:
            Its path within the file system.

        Raises:
            OSError: Copying failed.
        """
        assert self.filesystem is not None
        path = f"{self.path}/{name}"
        self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(file.read_bytes())
        return path

    def _is_there(self, path: str) -> bool:
        assert self.filesystem is not None
        (info,) = self.filesystem.get_file_info([path])
        return bool(info.type != pyarrow.fs.FileType.NotFound)

    def _refuse_foreign(self, may_replace: Callable[[Path], bool], copy: Path) -> None:
        assert self.filesystem is not None
        selector = pyarrow.fs.FileSelector(self.path, allow_not_found=True)
        content = {Path(info.path).name for info in self.filesystem.get_file_info(selector)}
        if not content:
            return
        copy.mkdir()
        for name in content & {MANIFEST, POLICY_FILE}:
            with self.filesystem.open_input_stream(f"{self.path}/{name}") as file:
                (copy / name).write_bytes(file.read())
        if not may_replace(copy):
            raise not_overwritten(self.path, copy, min(content))

    def _upload(self, directory: Path) -> None:
        assert self.filesystem is not None
        mark = uuid.uuid4().hex
        new, old = f"{self.path}.{mark}.tmp", f"{self.path}.{mark}.old"
        self._copy_to(directory, new)
        try:
            if self._is_there(self.path):
                self.filesystem.move(self.path, old)
            self.filesystem.move(new, self.path)
        # PyArrow raises the latter for file systems that cannot move directories, as object stores
        # cannot. There is no step that would replace all files at once, and the manifest tells.
        except (OSError, NotImplementedError):
            self._copy_to(directory, self.path)
        for left in (new, old):
            if self._is_there(left):
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
