"""The positions at which sequences can start."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rllib_dreamerv3.replay.storage import Segment, Storage, Window


class StartPositions:
    """Positions in storage at which a complete sequence starts, the "items" of the literature.

    Attributes:
        sequence_length: Records of a sequence, L.
    """

    def __init__(
        self,
        storage: Storage,
        sequence_length: int,
        is_included: Callable[[Segment], bool] | None = None,
    ):
        """Find the positions in the segments that ``is_included`` selects; None: in all."""
        self.sequence_length = sequence_length
        self._storage, self._is_included = storage, is_included
        self._table_version: int | None = None
        self._table: tuple[list[Segment], npt.NDArray[np.int64]]

    def __len__(self) -> int:
        return int(self._numbered()[1][-1])

    def windows(self, numbers: npt.NDArray[np.int64]) -> list[Window]:
        """Return the sequences of given numbers, which count the positions segment by segment."""
        segments, bounds = self._numbered()
        indices = np.searchsorted(bounds, numbers, side="right") - 1
        offsets = numbers - bounds[indices]
        return [
            Window(segments[index], segments[index].start + offset)
            for index, offset in zip(indices.tolist(), offsets.tolist(), strict=True)
        ]

    def addresses(self, segment: Segment, num_new: int | None = None) -> npt.NDArray[np.int64]:
        """Return the addresses of start positions, see `Storage.addresses`.

        Args:
            segment: The segment of the sequences.
            num_new: Only sequences that end with one of this many newest records; None for all.
        """
        stop = segment.end - self.sequence_length + 1
        first = segment.start if num_new is None else max(segment.start, stop - num_new)
        return self._storage.addresses(segment, first, max(first, stop))

    def _numbered(self) -> tuple[list[Segment], npt.NDArray[np.int64]]:
        """Number all positions, segment by segment.

        Returns:
            The S segments, and ``bounds [S+1]``: segment i has the numbers from ``bounds[i]`` up
            to, not including, ``bounds[i+1]``.
        """
        if self._table_version != self._storage.version:
            segments = list(filter(self._is_included, self._storage.segments))
            lengths = np.fromiter(map(len, segments), np.int64, len(segments))
            bounds = np.zeros(len(segments) + 1, np.int64)
            np.cumsum(np.maximum(lengths - self.sequence_length + 1, 0), out=bounds[1:])
            self._table_version, self._table = self._storage.version, (segments, bounds)
        return self._table
