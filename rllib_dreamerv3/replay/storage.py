"""Storage of replay's records: segments of consecutive records, divided into chunks.

A *segment* is a part of one stream without a gap. Its records are in *chunks*: fixed-size arrays,
one for each column, filled from front to back. The oldest chunk of all segments is evicted first.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, Columns, RecordChunk
from rllib_dreamerv3.replay.column_specs import Specs, bytes_of, specs_of
from rllib_dreamerv3.replay.column_storage import (
    DiskColumns,
    MemoryColumns,
    StoredColumns,
)

# Upper limits of a chunk. The limit on bytes saves memory when many streams fill their chunks at
# the same time, and stays below the 4 MiB from which NumPy requests huge pages, which would be
# allocated completely with the first record.
MAX_CHUNK_RECORDS = 1024
MAX_CHUNK_BYTES = 1 << 20
# Chunks are evicted as a whole, so this limits the share of the capacity left unused.
MIN_CHUNKS = 32

_NO_ADDRESSES = np.zeros(0, np.int64)


@dataclass(slots=True, eq=False)
class Chunk:
    """Consecutive records of a segment.

    Attributes:
        columns: An array ``[chunk_records, ...]`` for each column.
        start: Position in the stream of the first record.
        address: Address of the first record, see `Storage.addresses`.
        size: Number of records that are set, from the first one on.
    """

    columns: StoredColumns
    start: int
    address: int
    size: int = 0

    def read(self, name: str) -> np.ndarray:
        """Return the records of a column that are set: ``[size, ...]``."""
        return self.columns[name][: self.size]


@dataclass(slots=True, eq=False)
class Segment:
    """Consecutive records of one stream.

    Attributes:
        stream: Name of the stream.
        origin: Position in the stream of the first record, stored or evicted.
        start: Position in the stream of the oldest record that is still stored.
        end: Position one past the newest record.
        chunks: Oldest first. All but the last are full.
    """

    stream: str
    origin: int
    start: int
    end: int
    chunks: list[Chunk] = field(default_factory=list)

    def __len__(self) -> int:
        return self.end - self.start


class Window(NamedTuple):
    """The position of a sequence of consecutive records.

    Remains valid after eviction: positions count from the beginning of the stream and are never
    reused within a segment, so a window shows which of its records are still stored.

    Attributes:
        segment: The segment of the records, stored or evicted.
        start: Position of the first record in its stream.
    """

    segment: Segment
    start: int

    @property
    def is_stored(self) -> bool:
        """Whether no record of the window has been evicted (the first one is evicted first)."""
        return self.start >= self.segment.start


class Storage:
    """First-in first-out storage of records, with limits on records and bytes.

    Attributes:
        specs: Column name -> dtype and shape; empty until the first records arrive.
        num_records: Number of stored records.
        num_first: Stored records with ``is_first``.
        num_last: Stored records with ``is_last``.
        capacity: Limit on records: ``capacity_records``, or as many as fit into ``capacity_bytes``
            if that is less.
        chunk_records: Records of a full chunk. A full storage has between
            ``capacity - chunk_records + 1`` and ``capacity`` records.
        version: Changes whenever records are added or removed.
    """

    def __init__(
        self,
        *,
        sequence_length: int,
        capacity_records: int,
        capacity_bytes: int | None,
        needed_records: int = 0,
        directory: Path | None = None,
    ):
        """Create an empty storage; memory is allocated as records arrive.

        Args:
            sequence_length: Records that a full storage must be able to hold in one segment.
            capacity_records: Limit on records.
            capacity_bytes: Limit on bytes of records; None for no limit.
            needed_records: Records that must fit into ``capacity_bytes``; checked with the first
                record.
            directory: Directory for the files of large columns; None to keep all in memory.

        Raises:
            ValueError: If a capacity is too small for ``sequence_length`` records.
        """
        if capacity_records < sequence_length:
            raise ValueError(
                f"A replay capacity of {capacity_records} records cannot hold one sequence of "
                f"{sequence_length}. Increase the capacity or shorten the sequences."
            )
        if capacity_bytes is not None and capacity_bytes < 1:
            raise ValueError(f"capacity_bytes must be positive or None, not {capacity_bytes}.")
        self._sequence_length = sequence_length
        self._needed_records = max(sequence_length, needed_records)
        self._capacity_records = capacity_records
        self._capacity_bytes = capacity_bytes
        self._columns = MemoryColumns() if directory is None else DiskColumns(directory)
        self.specs: Specs = {}
        self.capacity = capacity_records
        self.chunk_records = 0
        self.version = 0
        self.num_records = self.num_first = self.num_last = 0
        # An insertion-ordered set.
        self._segments: dict[Segment, None] = {}
        # The segment that each stream continues.
        self._open: dict[str, Segment] = {}
        self._ages: deque[tuple[Segment, Chunk]] = deque()
        self._next_address = 0

    @property
    def record_bytes(self) -> int:
        """Bytes of one record over all columns; 0 until the columns are known."""
        return bytes_of(self.specs)

    @property
    def segments(self) -> list[Segment]:
        """All segments with records, in the order in which they began."""
        return list(self._segments)

    def chunks_oldest_first(self) -> Iterator[tuple[Segment, Chunk]]:
        """Iterate over all chunks in the order in which they began, which is that of eviction."""
        return iter(self._ages)

    @property
    def oldest_address(self) -> int:
        """The least address of a stored record; records with lower addresses are evicted."""
        return self._ages[0][1].address if self._ages else self._next_address

    def addresses(self, segment: Segment, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Return the addresses of stored consecutive records.

        An address is a number that only one record ever has. Chunks that begin later have higher
        addresses, so those of stored records are never far apart. They are not contiguous: a chunk
        reserves addresses for all the records that it can hold.

        Args:
            segment: The segment of the records.
            start: Position of the first record; it and all others must be stored.
            stop: Position one past the last record.

        Returns:
            int64 ``[stop - start]``.
        """
        parts = []
        for chunk in segment.chunks[(start - segment.start) // max(1, self.chunk_records) :]:
            if chunk.start >= stop:
                break
            address = chunk.address - chunk.start
            end = min(stop, chunk.start + chunk.size)
            parts.append(np.arange(address + max(start, chunk.start), address + end))
        return parts[0] if len(parts) == 1 else np.concatenate(parts or [_NO_ADDRESSES])

    def all_addresses(self) -> npt.NDArray[np.int64]:
        """Return the addresses of all records in the order of `chunks_oldest_first`: ascending."""
        parts = [np.arange(c.address, c.address + c.size) for _, c in self._ages]
        return np.concatenate([_NO_ADDRESSES, *parts])

    def addresses_upto(self, windows: Sequence[Window], length: int) -> npt.NDArray[np.int64]:
        """Return the addresses of the first record of each sequence, and of those before it.

        Args:
            windows: Positions of the B sequences, stored or evicted.
            length: Number of records; the last of them is the first record of the sequence.

        Returns:
            int64 ``[B, length]``; -1 for records that are not stored.
        """
        lasts, incomplete = [], []
        for row, (segment, start) in enumerate(windows):
            index, offset = divmod(start - segment.start, self.chunk_records)
            lasts.append(segment.chunks[index].address + offset if index >= 0 else 0)
            if offset + 1 < length or index < 0:
                incomplete.append((row, segment, index, offset + 1))
        addresses = np.array(lasts, np.int64)[:, None] + np.arange(1 - length, 1)
        for row, segment, index, found in incomplete:
            missing = addresses[row, : length - found if index >= 0 else length]
            while len(missing) and index > 0:
                before, chunk = segment.chunks[index - 1 : index + 1]
                missing += before.address + self.chunk_records - chunk.address
                missing = missing[: -self.chunk_records]
                index -= 1
            missing[:] = -1
        return addresses

    def windows(self, addresses: npt.NDArray[np.int64]) -> list[Window]:
        """Return the positions of sequences whose first records have the given addresses."""
        found, oldest = [], self.oldest_address
        for address in addresses.tolist():
            segment, chunk = self._ages[(address - oldest) // self.chunk_records]
            found.append(Window(segment, chunk.start + address - chunk.address))
        return found

    def append(self, records: RecordChunk) -> Segment | None:
        """Store a copy of records, evicting the oldest chunks if necessary.

        The records continue the segment of their stream if they start where it ends; otherwise
        they begin a new one. Of more records than the capacity, the newest are kept.

        Args:
            records: Consecutive records of one stream.

        Returns:
            The segment of the records; None if there were no records.

        Raises:
            ValueError: If the columns contradict each other or those stored earlier. Nothing
                changes then.
        """
        specs = specs_of(records.columns, self.specs)
        if not len(records):
            return None
        if not self.specs:
            self._adopt(specs)
        start = int(records.start)
        segment = self._open.get(records.stream)
        if segment is None or segment.end != start:
            segment = Segment(records.stream, origin=start, start=start, end=start)
        self._fill(segment, records.columns, len(records))
        return segment

    def gather(self, windows: Iterable[Window], length: int) -> Columns:
        """Copy sequences.

        Args:
            windows: Position of each of the B sequences.
            length: Records in a sequence, L, all of which must be stored.

        Returns:
            Column name -> new array ``[B, L, ...]``.
        """
        positions = list(windows)
        sequences = {
            name: np.empty((len(positions), length, *spec.shape), spec.dtype)
            for name, spec in self.specs.items()
        }
        self._columns.read(
            (target[i, part], chunk.columns[name], stored)
            for i, (segment, start) in enumerate(positions)
            for chunk, stored, part in self._pieces(segment, start, length)
            for name, target in sequences.items()
        )
        return sequences

    def scatter(self, windows: Iterable[Window], length: int, columns: Columns) -> None:
        """Overwrite values of stored records, the reverse of `gather`.

        Sequences are written in order: where they overlap, the last one wins. Evicted records are
        skipped.

        Args:
            windows: Position of each of the B sequences.
            length: Records in a sequence, L.
            columns: Column name -> array ``[B, L, ...]`` of the stored dtype and shape. Never
                `IS_FIRST` or `IS_LAST`, which are counted.
        """
        for i, (segment, start) in enumerate(windows):
            evicted = max(0, segment.start - start)
            values = {name: column[i, evicted:] for name, column in columns.items()}
            for chunk, stored, part in self._pieces(segment, start + evicted, length - evicted):
                for name, value in values.items():
                    chunk.columns[name][stored] = value[part]

    def check_capacity(self, specs: Specs) -> None:
        """Raise ValueError if a sequence of such records exceeds the capacity in bytes."""
        self._limits(specs)

    def check_space(self, specs: Specs, num_records: int) -> None:
        """Raise ValueError if the disk has no space for records that replace the current ones."""
        capacity, _ = self._limits(specs)
        self._columns.check_space(specs, min(num_records, capacity))

    def clear(self) -> None:
        """Remove all records. The specs of the columns are kept."""
        self.num_records = self.num_first = self.num_last = 0
        for _, chunk in self._ages:
            self._columns.release(chunk.columns)
        for segment in self._segments:
            # Frees the memory immediately, even if the segment or a window is still referenced.
            segment.chunks.clear()
            segment.start = segment.end
        self._segments.clear()
        self._open.clear()
        self._ages.clear()
        self.version += 1

    def restore(
        self,
        specs: Specs,
        segments: Iterable[tuple[str, int, int]],
        pieces: Iterable[tuple[int, Columns]],
    ) -> list[Segment]:
        """Replace all records by those of another storage.

        Args:
            specs: The columns of the records.
            segments: Stream name, origin and start of each segment, in the order of `segments`.
            pieces: Index of the segment, and columns ``[n, ...]`` with its next records; in the
                order of `chunks_oldest_first`. Consumed one by one, so that they need not be in
                memory together.

        Returns:
            The segments in the given order, including those evicted for lack of capacity.
        """
        self.clear()
        if specs:
            self._adopt(specs)
        restored = [Segment(stream, origin, start, start) for stream, origin, start in segments]
        # Added before they are filled, to keep the order in which they began.
        self._segments.update(dict.fromkeys(restored))
        for index, columns in pieces:
            self._fill(restored[index], columns, len(columns[IS_FIRST]))
        return restored

    def _limits(self, specs: Specs) -> tuple[int, int]:
        """Return capacity and chunk size in records, for the given columns."""
        record_bytes = max(1, bytes_of(specs))
        capacity = self._capacity_records
        if self._capacity_bytes is not None:
            capacity = min(capacity, self._capacity_bytes // record_bytes)
            if capacity < min(self._needed_records, self._capacity_records):
                raise ValueError(
                    f"A replay capacity_bytes of {self._capacity_bytes} has room for {capacity} "
                    f"records of {record_bytes} bytes, but {self._needed_records} are needed "
                    "before learning starts: at least "
                    f"{self._needed_records * record_bytes} bytes."
                )
        chunk_records = min(
            MAX_CHUNK_RECORDS,
            MAX_CHUNK_BYTES // record_bytes,
            capacity // MIN_CHUNKS,
            # A full storage of a single segment must hold a sequence after an eviction too.
            capacity - self._sequence_length + 1,
        )
        return capacity, max(1, chunk_records)

    def _adopt(self, specs: Specs) -> None:
        self.capacity, self.chunk_records = self._limits(specs)
        self.specs = specs

    def _fill(self, segment: Segment, columns: Mapping[str, np.ndarray], num_records: int) -> None:
        """Append records to a new or existing segment."""
        done = 0
        while done < num_records:
            take = min(num_records - done, self._room(segment) or self.chunk_records)
            # This may evict chunks of the same segment, and with its last chunk the segment.
            while self.num_records + take > self.capacity:
                self._evict_oldest_chunk()
            if not self._room(segment):
                columns_of_chunk = self._columns.create(self.specs, self.chunk_records)
                chunk = Chunk(columns_of_chunk, start=segment.end, address=self._next_address)
                self._next_address += self.chunk_records
                segment.chunks.append(chunk)
                self._ages.append((segment, chunk))
            self._segments[segment] = None
            self._open[segment.stream] = segment
            chunk = segment.chunks[-1]
            target = slice(chunk.size, chunk.size + take)
            source = slice(done, done + take)
            for name, stored in chunk.columns.items():
                stored[target] = columns[name][source]
            chunk.size += take
            segment.end += take
            self.num_records += take
            self.num_first += int(np.count_nonzero(columns[IS_FIRST][source]))
            self.num_last += int(np.count_nonzero(columns[IS_LAST][source]))
            self.version += 1
            done += take
            if chunk.size == self.chunk_records:
                self._columns.seal(chunk.columns)

    def _pieces(
        self, segment: Segment, start: int, length: int
    ) -> Iterator[tuple[Chunk, slice, slice]]:
        """Divide consecutive stored records by chunk.

        Yields:
            A chunk, the slice of its records, and the slice of the ``length`` records.
        """
        index, low = divmod(start - segment.start, self.chunk_records)
        done = 0
        while done < length:
            chunk = segment.chunks[index]
            take = min(length - done, chunk.size - low)
            yield chunk, slice(low, low + take), slice(done, done + take)
            done += take
            index, low = index + 1, 0

    def _room(self, segment: Segment) -> int:
        """Return how many records still fit into the last chunk of a segment."""
        return self.chunk_records - segment.chunks[-1].size if segment.chunks else 0

    def _evict_oldest_chunk(self) -> None:
        segment, chunk = self._ages.popleft()
        del segment.chunks[0]
        segment.start += chunk.size
        self.num_records -= chunk.size
        self.num_first -= int(np.count_nonzero(chunk.read(IS_FIRST)))
        self.num_last -= int(np.count_nonzero(chunk.read(IS_LAST)))
        self._columns.release(chunk.columns)
        if not segment.chunks:
            del self._segments[segment]
            if self._open.get(segment.stream) is segment:
                del self._open[segment.stream]
