"""The arrays of a chunk: in memory, or large ones in files.

Files are read and written by system calls, not mapped into memory: mapped pages count as memory of
the process, and a full disk would kill it instead of raising an error.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from rllib_dreamerv3.replay.column_specs import ColumnSpec, Specs, bytes_of
from rllib_dreamerv3.replay.memory import free_bytes, gigabytes

# Columns with at least this many bytes per record are stored in files: images and latents.
LEAST_FILE_BYTES = 256
# Unit of st_blocks, independent of the disk's block size (POSIX).
_BLOCK_BYTES = 512


class StoredColumn(Protocol):
    """An array ``[chunk_records, ...]`` with reading and writing of consecutive records."""

    def __getitem__(self, records: slice) -> np.ndarray:
        """Return a copy or a view of records."""

    def __setitem__(self, records: slice, values: np.ndarray) -> None:
        """Overwrite records."""


def in_files(specs: Specs) -> Specs:
    """Return the columns that are stored in files, if files are used."""
    return {name: spec for name, spec in specs.items() if spec.num_bytes() >= LEAST_FILE_BYTES}


StoredColumns = Mapping[str, StoredColumn]
Reading = tuple[np.ndarray, StoredColumn, slice]
"""A contiguous array ``[n, ...]``, and the records to copy into it."""


class MemoryColumns:
    """Creates columns as NumPy arrays."""

    def create(self, specs: Specs, records: int) -> StoredColumns:
        """Return an array ``[records, ...]`` for each column, allocated as it is filled."""
        return {name: np.empty((records, *spec.shape), spec.dtype) for name, spec in specs.items()}

    def check_space(self, specs: Specs, records: int) -> None:
        """Do nothing: memory is checked at the start."""

    def seal(self, columns: StoredColumns) -> None:
        """Do nothing: the arrays stay in memory."""

    def read(self, readings: Iterable[Reading]) -> None:
        """Copy records."""
        for target, column, records in readings:
            target[...] = column[records]

    def release(self, columns: StoredColumns) -> None:
        """Do nothing: arrays are garbage-collected."""


class FileColumn:
    """Records of one dtype and shape: in memory until complete, then in a slot of a file.

    A slot is written at once, which makes reading faster: the system caches it in larger pages.

    Attributes:
        slot: Index of the slot in the file.
    """

    __slots__ = ("_file", "_memory", "_record_bytes", "_records", "_spec", "_start", "slot")

    def __init__(self, file: "ColumnFile", slot: int, records: int):
        self._file, self._spec, self._records, self.slot = file, file.spec, records, slot
        self._record_bytes = file.spec.num_bytes()
        self._start = slot * records * self._record_bytes
        self._memory: np.ndarray | None = np.empty((records, *file.spec.shape), file.spec.dtype)

    def seal(self) -> None:
        """Move the complete records to the file."""
        if self._memory is not None:
            self._write(self._memory, 0)
            self._memory = None

    def __getitem__(self, records: slice) -> np.ndarray:
        if self._memory is not None:
            return self._memory[records]
        start, stop, _ = records.indices(self._records)
        values = np.empty((stop - start, *self._spec.shape), self._spec.dtype)
        self.read_into(values, start)
        return values

    def __setitem__(self, records: slice, values: np.ndarray) -> None:
        if self._memory is not None:
            self._memory[records] = values
        else:
            self._write(values, records.indices(self._records)[0])

    def read_into(self, target: np.ndarray, first: int) -> None:
        """Fill a contiguous array ``[n, ...]`` with n records from index ``first`` on."""
        if self._memory is not None:
            target[...] = self._memory[first : first + len(target)]
            return
        view = _bytes_of(target)
        offset = self._start + first * self._record_bytes
        while view:
            done = os.preadv(self._file.descriptor, [view], offset)
            if not done:
                raise OSError(f"The replay file in {self._file.directory} was truncated.")
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
                    f"Replay cannot be written to {self._file.directory} ({error.strerror}). Free "
                    "some space, lower capacity_bytes, or set another directory in "
                    "replay_buffer_config",
                ) from error
            view, offset = view[done:], offset + done


class ColumnFile:
    """A file for all chunks of one column; unnamed, so that it is removed with the process.

    Attributes:
        spec: Dtype and shape of a record.
        directory: Directory of the file.
        descriptor: Descriptor of the open file.
    """

    def __init__(self, spec: ColumnSpec, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self.spec, self.directory = spec, directory
        # Unlike a plain descriptor, closed when garbage-collected.
        self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115
        self.descriptor = self._file.fileno()
        self._free: list[int] = []
        self._slots = 0

    def create(self, records: int) -> FileColumn:
        """Return a slot, released or new; ``records`` must be the same in each call."""
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._slots = self._slots, self._slots + 1
        return FileColumn(self, slot, records)

    def num_bytes(self) -> int:
        """Return the bytes used on the disk."""
        return os.fstat(self.descriptor).st_blocks * _BLOCK_BYTES

    def release(self, column: FileColumn) -> None:
        """Make a slot available for another chunk."""
        self._free.append(column.slot)


class DiskColumns:
    """Creates columns, with large ones in files."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._files: dict[str, ColumnFile] = {}
        self._memory = MemoryColumns()
        self._shape: tuple[Specs, int] | None = None

    def create(self, specs: Specs, records: int) -> StoredColumns:
        """Return a column ``[records, ...]`` for each spec."""
        if self._shape != (specs, records):
            self._files = {
                name: ColumnFile(spec, self._directory) for name, spec in in_files(specs).items()
            }
            self._shape = (dict(specs), records)
        small = {name: spec for name, spec in specs.items() if name not in self._files}
        large = {name: file.create(records) for name, file in self._files.items()}
        return {**self._memory.create(small, records), **large}

    def check_space(self, specs: Specs, records: int) -> None:
        """Check that records fit on the disk, once the current ones are removed.

        Raises:
            ValueError: If they do not fit.
        """
        need = records * bytes_of(in_files(specs))
        room = free_bytes(self._directory) + sum(file.num_bytes() for file in self._files.values())
        if need > room:
            raise ValueError(
                f"Its {records:,} records need {gigabytes(need)} in {self._directory}, where "
                f"{gigabytes(room)} are free. Free some space, lower capacity_bytes, or set "
                "another directory in replay_buffer_config."
            )

    def seal(self, columns: StoredColumns) -> None:
        """Move the records of a full chunk to the files.

        Raises:
            OSError: If the disk is full.
        """
        for name in self._files:
            self._in_file(columns, name).seal()

    def read(self, readings: Iterable[Reading]) -> None:
        """Copy records."""
        for target, column, records in readings:
            if isinstance(column, FileColumn):
                column.read_into(target, records.start)
            else:
                target[...] = column[records]

    def release(self, columns: StoredColumns) -> None:
        """Make the columns' slots available again."""
        for name, file in self._files.items():
            file.release(self._in_file(columns, name))

    @staticmethod
    def _in_file(columns: StoredColumns, name: str) -> FileColumn:
        column = columns[name]
        assert isinstance(column, FileColumn)
        return column


def _bytes_of(array: np.ndarray) -> memoryview:
    """Return the memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data
