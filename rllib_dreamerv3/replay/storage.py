"""Where the bytes of replay are: segments of consecutive records, cut into chunks.

A *segment* is a stretch of one stream without a gap. Its records lie in *chunks*: fixed-size
arrays, one for each column, filled from front to back. Room is made by dropping the chunk that
was begun first, whichever segment it belongs to.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, Columns, RecordChunk
from rllib_dreamerv3.replay.column_specs import Specs, bytes_of, specs_of
from rllib_dreamerv3.replay.column_storage import (
    DiskColumns,
    MemoryColumns,
    StoredColumns,
)

# Upper limits of a chunk. The limit on bytes keeps little memory in chunks that many streams
# fill at the same time, and stays below the 4 MiB from which NumPy asks for huge pages: those
# would be occupied whole as soon as one record is written.
MAX_CHUNK_RECORDS = 1024
MAX_CHUNK_BYTES = 1 << 20
# A chunk is dropped whole, so this bounds the share of the capacity that eviction leaves unused.
MIN_CHUNKS = 32


@dataclass(slots=True, eq=False)
class Chunk:
    """An array ``[chunk_records, ...]`` for each column; the first ``size`` records are set."""

    columns: StoredColumns
    size: int = 0

    def read(self, name: str) -> np.ndarray:
        """The records of a column that are set: ``[size, ...]``."""
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
        """Number of stored records."""
        return self.end - self.start


class Window(NamedTuple):
    """A place to read consecutive records from.

    It outlives the records: positions count from the beginning of the stream and are never given
    out again within a segment, so a window always tells which of its records are still stored.

    Attributes:
        segment: The segment that holds all of them, or held them.
        start: Position of the first one in its stream.
    """

    segment: Segment
    start: int

    @property
    def is_stored(self) -> bool:
        """Whether no record of the window has been evicted yet (the first one goes first)."""
        return self.start >= self.segment.start


class Storage:
    """First-in first-out storage of records, bounded by a number of records and of bytes.

    Attributes:
        specs: Column name -> dtype and shape; empty until the first records arrive.
        num_records: Records stored now.
        num_first: Stored records with ``is_first``.
        num_last: Stored records with ``is_last``.
        capacity: Most records ever held: ``capacity_records``, or what fits into
            ``capacity_bytes`` if that is less.
        chunk_records: Records of a full chunk. Once full, between ``capacity - chunk_records + 1``
            and ``capacity`` records are held.
        version: Changes whenever records come or go.
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
        """Creates an empty storage; memory is taken as records arrive.

        Args:
            sequence_length: Records that a full storage must be able to hold in one segment.
            capacity_records: Most records to hold.
            capacity_bytes: Most bytes of records to hold; None for no such limit.
            needed_records: Records that the capacity in bytes must have room for; whether it has
                is known with the first record.
            directory: Where large columns are kept in files; None to keep all in memory.

        Raises:
            ValueError: A capacity is too small to hold ``sequence_length`` records.
        """
        if capacity_records < sequence_length:
            raise ValueError(
                f"A replay capacity of {capacity_records} records cannot hold one sequence of "
                f"{sequence_length}. Raise the capacity or shorten the sequences."
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

    @property
    def record_bytes(self) -> int:
        """Bytes of one record over all columns; 0 until the columns are known."""
        return bytes_of(self.specs)

    @property
    def segments(self) -> list[Segment]:
        """All segments that hold records, in the order in which they began."""
        return list(self._segments)

    def chunks_oldest_first(self) -> Iterator[tuple[Segment, Chunk]]:
        """All chunks in the order in which they were begun, which is the order of eviction."""
        return iter(self._ages)

    def append(self, records: RecordChunk) -> Segment | None:
        """Stores a copy of records, evicting the oldest chunks to make room.

        The records continue the segment of their stream if they start where it ends; otherwise
        they begin a new one. Of more records than the capacity, the newest stay.

        Args:
            records: Consecutive records of one stream.

        Returns:
            The segment that they are in now; None if there were no records.

        Raises:
            ValueError: The columns contradict each other or those stored earlier. Nothing has
                changed then.
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
        """Copies sequences.

        Args:
            windows: Where each of the B sequences starts.
            length: Records in a sequence, L. Every window's segment must hold that many from there.

        Returns:
            Column name -> new array ``[B, L, ...]``.
        """
        places = list(windows)
        sequences = {
            name: np.empty((len(places), length, *spec.shape), spec.dtype)
            for name, spec in self.specs.items()
        }
        self._columns.read(
            (target[row, part], chunk.columns[name], place)
            for row, (segment, start) in enumerate(places)
            for chunk, place, part in self._pieces(segment, start, length)
            for name, target in sequences.items()
        )
        return sequences

    def scatter(self, windows: Iterable[Window], length: int, columns: Columns) -> None:
        """Overwrites values of stored records, the reverse of `gather`.

        Sequences are written one after the other: where they overlap, the last one stays. Records
        that have been evicted are skipped.

        Args:
            windows: Where each of the B sequences starts.
            length: Records in a sequence, L.
            columns: Column name -> array ``[B, L, ...]`` of the stored dtype and shape. Never
                `IS_FIRST` or `IS_LAST`, which are counted.
        """
        for row, (segment, start) in enumerate(windows):
            evicted = max(0, segment.start - start)
            values = {name: column[row, evicted:] for name, column in columns.items()}
            for chunk, place, part in self._pieces(segment, start + evicted, length - evicted):
                for name, value in values.items():
                    chunk.columns[name][place] = value[part]

    def check_capacity(self, specs: Specs) -> None:
        """Raises ValueError if a sequence of such records exceeds the capacity in bytes."""
        self._limits(specs)

    def check_space(self, specs: Specs, num_records: int) -> None:
        """Raises ValueError if the disk has no room for so many records in place of those here."""
        capacity, _ = self._limits(specs)
        self._columns.check_space(specs, min(num_records, capacity))

    def clear(self) -> None:
        """Drops all records. The columns stay as they are."""
        self.num_records = self.num_first = self.num_last = 0
        for _, chunk in self._ages:
            self._columns.release(chunk.columns)
        for segment in self._segments:
            # Frees the memory at once, whoever still holds the segment or a window of it.
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
        """Replaces all records by those of another storage.

        Args:
            specs: The columns of the records.
            segments: Stream name, origin and start of each segment, in the order of `segments`.
            pieces: Index of the segment, and columns ``[n, ...]`` with its next records; in the
                order of `chunks_oldest_first`. Read one after the other, so that they need not
                be in memory together.

        Returns:
            The segments in the given order, also those that the capacity had no room for.
        """
        self.clear()
        if specs:
            self._adopt(specs)
        restored = [Segment(stream, origin, start, start) for stream, origin, start in segments]
        # Known before they are filled, to keep the order in which they began.
        self._segments.update(dict.fromkeys(restored))
        for index, columns in pieces:
            self._fill(restored[index], columns, len(columns[IS_FIRST]))
        return restored

    def _limits(self, specs: Specs) -> tuple[int, int]:
        """Capacity and chunk size, both in records, for records with the given columns."""
        record_bytes = max(1, bytes_of(specs))
        capacity = self._capacity_records
        if self._capacity_bytes is not None:
            capacity = min(capacity, self._capacity_bytes // record_bytes)
            if capacity < min(self._needed_records, self._capacity_records):
                raise ValueError(
                    f"A replay capacity_bytes of {self._capacity_bytes} has room for {capacity} "
                    f"records of {record_bytes} bytes, but {self._needed_records} are needed "
                    "before any learning: at least "
                    f"{self._needed_records * record_bytes} bytes."
                )
        chunk_records = min(
            MAX_CHUNK_RECORDS,
            MAX_CHUNK_BYTES // record_bytes,
            capacity // MIN_CHUNKS,
            # So that a full storage of a single segment holds a sequence after an eviction too.
            capacity - self._sequence_length + 1,
        )
        return capacity, max(1, chunk_records)

    def _adopt(self, specs: Specs) -> None:
        self.capacity, self.chunk_records = self._limits(specs)
        self.specs = specs

    def _fill(self, segment: Segment, columns: Mapping[str, np.ndarray], num_records: int) -> None:
        """Appends records to a segment, new or known."""
        done = 0
        while done < num_records:
            take = min(num_records - done, self._room(segment) or self.chunk_records)
            # This may drop chunks of the very segment, and with its last chunk the segment.
            while self.num_records + take > self.capacity:
                self._evict_oldest_chunk()
            if not self._room(segment):
                chunk = Chunk(self._columns.create(self.specs, self.chunk_records))
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
        """Cuts consecutive stored records where their chunks end.

        Yields:
            A chunk, the place of the records in it, and their place among the ``length`` ones.
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
        """Records that still fit into the last chunk of a segment."""
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
