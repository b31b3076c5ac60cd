"""Which sequences replay serves: uniform over all places where a row can start."""

import numpy as np
import numpy.typing as npt

from rllib_dreamerv3.records import IS_FIRST, Columns, RecordChunk
from rllib_dreamerv3.replay.storage import Segment, Storage, Window

ENV_STEPS_ADDED = "num_env_steps_added_lifetime"
EPISODES_ADDED = "num_episodes_added_lifetime"
RECORDS_SAMPLED = "num_records_sampled_lifetime"
LIFETIME_COUNTERS = (ENV_STEPS_ADDED, EPISODES_ADDED, RECORDS_SAMPLED)


class ReplayBuffer:
    """Uniform replay of rows of T consecutive records that freely cross episode boundaries.

    A row never crosses a gap in its stream and never mixes streams. Each start position, the
    "item" of the literature, is equally likely, and rows are drawn with replacement. Source:
    2023 code and 2025 code (the papers only say "uniform replay").

    Streams share the capacity, first in, first out. Records leave in chunks of at most 1/32 of
    the capacity (1024 records, 1 MiB), the chunk that was begun first before the others; the
    capacity is never exceeded, and once full, less than one chunk of it is unused.

    Not thread-safe.

    Attributes:
        length: Records of a training row, T.
        storage: Where the records are.
        rng: Source of all draws.
        lifetime: Counters that only grow, under the names they have in `metrics`.
    """

    def __init__(
        self,
        *,
        length: int,
        capacity_records: int,
        capacity_bytes: int | None = None,
        seed: int | None = None,
    ):
        """Creates an empty buffer; memory is taken as records arrive.

        Args:
            length: Records of a training row, T.
            capacity_records: Most records to hold, over all streams.
            capacity_bytes: Most bytes of records to hold; None for no such limit.
            seed: Seed of the draws; None for a different one each time.

        Raises:
            ValueError: The capacity cannot hold one row.
        """
        self.length = length
        self.storage = Storage(
            row_length=length, capacity_records=capacity_records, capacity_bytes=capacity_bytes
        )
        self.rng = np.random.default_rng(seed)
        self.lifetime = dict.fromkeys(LIFETIME_COUNTERS, 0)
        self._table_key: tuple[int, int] | None = None
        self._table: tuple[list[Segment], npt.NDArray[np.int64]]

    @property
    def num_records(self) -> int:
        """Records stored now."""
        return self.storage.num_records

    @property
    def num_windows(self) -> int:
        """Positions at which a row of ``length`` records can start."""
        return int(self._start_positions(self.length)[1][-1])

    @property
    def num_bytes(self) -> int:
        """Bytes of the records stored now."""
        return self.storage.num_records * self.storage.record_bytes

    @property
    def can_sample(self) -> bool:
        """Whether there is at least one row of ``length`` records."""
        return self.num_windows > 0

    def add(self, chunk: RecordChunk) -> None:
        """Stores a copy of consecutive records of one stream.

        If they do not start where their stream ended, there is a gap, and no row will ever hold
        records from both sides of it.

        Args:
            chunk: The records. The first ones ever added decide the columns.

        Raises:
            ValueError: The columns contradict each other, or those of earlier records. The
                buffer is unchanged then.
        """
        self.storage.append(chunk)
        self.lifetime[ENV_STEPS_ADDED] += chunk.env_steps()
        self.lifetime[EPISODES_ADDED] += int(np.count_nonzero(chunk.columns[IS_FIRST]))

    def sample(self, batch_size: int, length: int | None = None) -> Columns:
        """Draws rows of consecutive records, uniformly and with replacement.

        Args:
            batch_size: Number of rows, B.
            length: Records in a row, T; None for the buffer's own.

        Returns:
            Column name -> new array ``[B, T, ...]`` of the stored dtype. ``is_first[:, 0]`` is
            True, because a row starts without a recurrent state (2023 code); what is stored
            stays as it was.

        Raises:
            ValueError: No stretch of T consecutive records is stored yet, or an argument is
                not positive.
        """
        length = self.length if length is None else length
        rows = self.storage.gather(self._draw(batch_size, length), length)
        rows[IS_FIRST][:, 0] = True
        self.lifetime[RECORDS_SAMPLED] += batch_size * length
        return rows

    def metrics(self) -> dict[str, float]:
        """Counters, under RLlib's names where it has them.

        Returns:
            ``num_env_steps_stored`` (executed actions: records that do not end an episode),
            ``num_episodes_stored`` (episodes whose first record is stored), ``num_records``,
            ``num_windows`` (start positions of rows), ``num_segments`` (stretches without a
            gap), ``num_bytes``, ``capacity_records`` (what the byte limit leaves of it, once the
            size of a record is known), ``num_env_steps_added_lifetime``,
            ``num_env_steps_evicted_lifetime``, ``num_episodes_added_lifetime``, and
            ``num_records_sampled_lifetime`` (B * T for each sample).
        """
        stored = self.storage.num_records - self.storage.num_last
        counters = {
            "num_env_steps_stored": stored,
            "num_episodes_stored": self.storage.num_first,
            "num_records": self.num_records,
            "num_windows": self.num_windows,
            "num_segments": len(self.storage.segments),
            "num_bytes": self.num_bytes,
            "capacity_records": self.storage.capacity,
            "num_env_steps_evicted_lifetime": self.lifetime[ENV_STEPS_ADDED] - stored,
            **self.lifetime,
        }
        return {name: float(value) for name, value in counters.items()}

    def _draw(self, batch_size: int, length: int) -> list[Window]:
        """Draws the places where B rows start."""
        if batch_size < 1 or length < 1:
            raise ValueError(
                f"batch_size and length must be positive, not {batch_size} and {length}."
            )
        segments, bounds = self._start_positions(length)
        if not bounds[-1]:
            longest = max((len(segment) for segment in segments), default=0)
            raise ValueError(
                f"Replay holds no {length} consecutive records yet: {self.num_records} records, "
                f"the longest stretch without a gap has {longest}. Add more before sampling."
            )
        drawn = self.rng.integers(bounds[-1], size=batch_size)
        indices = np.searchsorted(bounds, drawn, side="right") - 1
        offsets = drawn - bounds[indices]
        return [
            Window(segments[index], segments[index].start + offset)
            for index, offset in zip(indices.tolist(), offsets.tolist(), strict=True)
        ]

    def _start_positions(self, length: int) -> tuple[list[Segment], npt.NDArray[np.int64]]:
        """Numbers all start positions of rows, segment after segment.

        Returns:
            The S segments, and ``bounds [S+1]``: segment i owns the numbers from ``bounds[i]``
            up to, not including, ``bounds[i+1]``.
        """
        key = (self.storage.version, length)
        if self._table_key != key:
            segments = self.storage.segments
            lengths = np.fromiter(map(len, segments), np.int64, len(segments))
            bounds = np.zeros(len(segments) + 1, np.int64)
            np.cumsum(np.maximum(lengths - length + 1, 0), out=bounds[1:])
            self._table_key, self._table = key, (segments, bounds)
        return self._table
