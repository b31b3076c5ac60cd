"""Where the arrays of a chunk are: in memory, or large ones in files.

A column in a file is read and written by plain calls and never mapped into memory: mapped pages
would count as memory of this process, and a full disk would kill it instead of being an error.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from rllib_dreamerv3.replay.column_specs import ColumnSpec, Specs, bytes_of
from rllib_dreamerv3.replay.memory import free_bytes, gigabytes

# Columns of at least so many bytes a record are worth a file: images and latents.
LEAST_FILE_BYTES = 256
# Of the blocks in which systems count what a file takes, whatever those of its disk are (POSIX).
_BLOCK_BYTES = 512


class StoredColumn(Protocol):
    """An array ``[chunk_records, ...]`` of which consecutive records are read and written."""

    def __getitem__(self, place: slice) -> np.ndarray:
        """A copy or a view of records."""

    def __setitem__(self, place: slice, values: np.ndarray) -> None:
        """Overwrites records."""


def in_files(specs: Specs) -> Specs:
    """Those columns that are kept in files, if any are."""
    return {name: spec for name, spec in specs.items() if spec.num_bytes() >= LEAST_FILE_BYTES}


StoredColumns = Mapping[str, StoredColumn]
Reading = tuple[np.ndarray, StoredColumn, slice]
"""A contiguous array ``[n, ...]``, and the records that are to be copied into it."""


class MemoryColumns:
    """Makes columns that are NumPy arrays."""

    def create(self, specs: Specs, records: int) -> StoredColumns:
        """An array ``[records, ...]`` for each column; their memory is taken as they are filled."""
        return {name: np.empty((records, *spec.shape), spec.dtype) for name, spec in specs.items()}

    def check_space(self, specs: Specs, records: int) -> None:
        """Does nothing: whether memory is enough was said at the start."""

    def seal(self, columns: StoredColumns) -> None:
        """Does nothing: the arrays stay where they are."""

    def read(self, readings: Iterable[Reading]) -> None:
        """Copies records."""
        for target, column, place in readings:
            target[...] = column[place]

    def release(self, columns: StoredColumns) -> None:
        """Does nothing: arrays go when nobody holds them."""


class FileColumn:
    """Records of one dtype and shape: in memory while they come, then in a stretch of a file.

    Written in one piece, a stretch is read faster: the system then keeps it in larger pages.

    Attributes:
        slot: Which stretch of the file it is.
    """

    __slots__ = ("_file", "_memory", "_record_bytes", "_records", "_spec", "_start", "slot")

    def __init__(self, file: "ColumnFile", slot: int, records: int):
        self._file, self._spec, self._records, self.slot = file, file.spec, records, slot
        self._record_bytes = file.spec.num_bytes()
        self._start = slot * records * self._record_bytes
        self._memory: np.ndarray | None = np.empty((records, *file.spec.shape), file.spec.dtype)

    def seal(self) -> None:
        """Moves the records to the file: all of them are there."""
        if self._memory is not None:
            self._write(self._memory, 0)
            self._memory = None

    def __getitem__(self, place: slice) -> np.ndarray:
        if self._memory is not None:
            return self._memory[place]
        start, stop, _ = place.indices(self._records)
        values = np.empty((stop - start, *self._spec.shape), self._spec.dtype)
        self.read_into(values, start)
        return values

    def __setitem__(self, place: slice, values: np.ndarray) -> None:
        if self._memory is not None:
            self._memory[place] = values
        else:
            self._write(values, place.indices(self._records)[0])

    def read_into(self, target: np.ndarray, first: int) -> None:
        """Fills a contiguous array ``[n, ...]`` with n records from the first one on."""
        if self._memory is not None:
            target[...] = self._memory[first : first + len(target)]
            return
        view = _bytes_of(target)
        offset = self._start + first * self._record_bytes
        while view:
            done = os.preadv(self._file.descriptor, [view], offset)
            if not done:
                raise OSError(f"The replay file in {self._file.directory} is shorter than it was.")
            view, offset = view[done:], offset + done

    def _write(self, values: np.ndarray, first: int) -> None:
        view = _bytes_of(np.ascontiguousarray(values))
        offset = self._start + first * self._record_bytes
        while view:
            try:
                done = os.pwrite(self._file.descriptor, view, offset)
            except OSError as error:
                raise OSError(
                    error.errno,
                    f"Replay cannot be written to {self._file.directory} ({error.strerror}). Make "
                    "room, lower capacity_bytes, or name another directory in "
                    "replay_buffer_config",
                ) from error
            view, offset = view[done:], offset + done


class ColumnFile:
    """A file for all chunks of one column; it has no name, and so ends with the process.

    Attributes:
        spec: Dtype and shape of a record.
        directory: Where it is.
        descriptor: The open file.
    """

    def __init__(self, spec: ColumnSpec, directory: Path):
        """Creates the file, and its directory."""
        directory.mkdir(parents=True, exist_ok=True)
        self.spec, self.directory = spec, directory
        # Unlike a plain descriptor it is closed when nobody holds it any more.
        self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115
        self.descriptor = self._file.fileno()
        self._free: list[int] = []
        self._slots = 0

    def create(self, records: int) -> FileColumn:
        """A stretch for so many records, always the same number; one that was released if any."""
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._slots = self._slots, self._slots + 1
        return FileColumn(self, slot, records)

    def num_bytes(self) -> int:
        """What it takes of the disk."""
        return os.fstat(self.descriptor).st_blocks * _BLOCK_BYTES

    def release(self, column: FileColumn) -> None:
        """Takes a stretch back for another chunk."""
        self._free.append(column.slot)


class DiskColumns:
    """Makes columns of which large ones are in files."""

    def __init__(self, directory: Path):
        """Creates no file before the first chunk."""
        self._directory = directory
        self._files: dict[str, ColumnFile] = {}
        self._memory = MemoryColumns()
        self._shape: tuple[Specs, int] | None = None

    def create(self, specs: Specs, records: int) -> StoredColumns:
        """A column ``[records, ...]`` for each spec."""
        if self._shape != (specs, records):
            self._files = {
                name: ColumnFile(spec, self._directory) for name, spec in in_files(specs).items()
            }
            self._shape = (dict(specs), records)
        small = {name: spec for name, spec in specs.items() if name not in self._files}
        large = {name: file.create(records) for name, file in self._files.items()}
        return {**self._memory.create(small, records), **large}

    def check_space(self, specs: Specs, records: int) -> None:
        """Compares what so many records need in files with what is free, or taken by those before.

        Raises:
            ValueError: They do not fit.
        """
        need = records * bytes_of(in_files(specs))
        room = free_bytes(self._directory) + sum(file.num_bytes() for file in self._files.values())
        if need > room:
            raise ValueError(
                f"Its {records:,} records need {gigabytes(need)} in {self._directory}, where "
                f"{gigabytes(room)} are free. Make room, lower capacity_bytes, or name another "
                "directory in replay_buffer_config."
            )

    def seal(self, columns: StoredColumns) -> None:
        """Moves the records of a full chunk to the files.

        Raises:
            OSError: There is no room for them.
        """
        for name in self._files:
            self._in_file(columns, name).seal()

    def read(self, readings: Iterable[Reading]) -> None:
        """Copies records."""
        for target, column, place in readings:
            if isinstance(column, FileColumn):
                column.read_into(target, place.start)
            else:
                target[...] = column[place]

    def release(self, columns: StoredColumns) -> None:
        """Lets the columns' stretches be used again."""
        for name, file in self._files.items():
            file.release(self._in_file(columns, name))

    @staticmethod
    def _in_file(columns: StoredColumns, name: str) -> FileColumn:
        column = columns[name]
        assert isinstance(column, FileColumn)
        return column


def _bytes_of(array: np.ndarray) -> memoryview:
    """The memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data
