"""Reads single sequences of a replay checkpoint, without filling a buffer."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.checkpoints.files import REPLAY_DIRECTORY
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import IS_FIRST, Columns, file_name
from rllib_dreamerv3.replay.checkpoint import INDEX, open_column, read_index


class _Candidates(NamedTuple):
    """N candidate sequences, ordered by segment.

    Attributes:
        segment: Index of the segment, int64 ``[N]``.
        start: Position of the first record in the segment, int64 ``[N]``.
        new_episodes: Episodes that begin after the first training record, int64 ``[N]``.
    """

    segment: np.ndarray
    start: np.ndarray
    new_episodes: np.ndarray


class SavedSequences:
    """The sequences of a replay checkpoint.

    Attributes:
        specs: Column name -> stored dtype and shape.
    """

    def __init__(self, directory: Path):
        """Read the index.

        Args:
            directory: Written by :func:`~rllib_dreamerv3.replay.checkpoint.save`.

        Raises:
            CheckpointError: If it is not such a directory, or is damaged.
        """
        self._directory = directory
        self._index = read_index(directory)
        self.specs = self._index.specs

    @property
    def longest(self) -> int:
        """Greatest number of consecutive records."""
        return max(map(len, self.segments()), default=0)

    def segments(self) -> list[np.ndarray]:
        """Return for each segment the indices of its records in the column files, int64 ``[n]``."""
        parts: list[list[np.ndarray]] = [[] for _ in self._index.segments]
        begin = 0
        for segment, records in self._index.chunks:
            parts[segment].append(np.arange(begin, begin + records))
            begin += records
        return [np.concatenate(part) for part in parts]

    def draw(self, rows: int, length: int, context: int, seed: int) -> list[np.ndarray]:
        """Draw non-overlapping sequences within which as few episodes as possible begin.

        Args:
            rows: Number of sequences. If there are too few, some overlap, or fewer are returned.
            length: Training records of each.
            context: Context records before them, 0 or 1.
            seed: Seed of the draw.

        Returns:
            For each sequence the indices of its records in the column files, int64
            ``[context + length]``.

        Raises:
            CheckpointError: If no segment is long enough; gives the greatest length.
        """
        indices = self.segments()
        needed = context + length
        if self.longest < needed:
            raise CheckpointError(
                f"{self._directory} does not have {needed} consecutive records: at most "
                f"{self.longest} are consecutive. Request sequences of at most "
                f"{max(self.longest - context, 0)} records."
            )
        found = self._candidates(indices, needed, context)
        order = np.random.default_rng(seed).permutation(len(found.start))
        order = order[np.argsort(found.new_episodes[order], kind="stable")]
        chosen = [
            *_without_overlap(found, order, rows, needed),
            *order[:rows],
        ]
        return [
            indices[found.segment[i]][found.start[i] : found.start[i] + needed]
            for i in list(dict.fromkeys(chosen))[:rows]
        ]

    def newest(self, most: int) -> np.ndarray:
        """Return the newest consecutive records.

        Args:
            most: Limit on their number.

        Returns:
            Their indices in the column files, int64 ``[n]``.

        Raises:
            CheckpointError: If there are no records.
        """
        if not self._index.chunks:
            raise CheckpointError(f"{self._directory} has no records.")
        segment, _ = self._index.chunks[-1]
        return self.segments()[segment][-most:]

    def first_records(self, most: int, seed: int) -> np.ndarray:
        """Draw first records of episodes, without replacement.

        Args:
            most: Limit on the number of records.
            seed: Seed of the draw.

        Returns:
            Their indices in the column files, int64 ``[n]``.

        Raises:
            CheckpointError: If a column is missing or damaged.
        """
        where = np.flatnonzero(self._column(IS_FIRST))
        return np.random.default_rng(seed).permutation(where)[:most]

    def read(self, sequences: Sequence[np.ndarray], names: Sequence[str]) -> Columns:
        """Read the records of B sequences of equal length.

        Args:
            sequences: Indices of the records, see :meth:`draw`.
            names: Columns to read.

        Returns:
            Column name -> array ``[B, context + length, ...]``.

        Raises:
            CheckpointError: If a column is missing or damaged.
        """
        where = np.stack(sequences)
        return {name: self._column(name)[where] for name in names}

    def spread(self, name: str, most: int) -> np.ndarray:
        """Read a column at evenly spaced records.

        Args:
            name: The column.
            most: Limit on the number of records.

        Returns:
            ``[n, ...]``.

        Raises:
            CheckpointError: If the column is missing or damaged.
        """
        column = self._column(name)
        return np.asarray(column[:: max(1, -(-len(column) // most))])

    def _column(self, name: str) -> np.ndarray:
        if name not in self.specs:
            raise CheckpointError(f"{self._directory / INDEX} has no column {name!r}.")
        path = self._directory / file_name(name)
        return open_column(path, self.specs[name], self._index.num_records)

    def _candidates(self, indices: list[np.ndarray], needed: int, context: int) -> _Candidates:
        is_first = np.asarray(self._column(IS_FIRST))
        found = []
        for segment, where in enumerate(indices):
            starts = np.arange(max(len(where) - needed + 1, 0))
            begun = np.concatenate([[0], np.cumsum(is_first[where])])
            within = begun[starts + needed] - begun[starts + context + 1]
            found.append((np.full(len(starts), segment), starts, within))
        return _Candidates(*(np.concatenate(x) for x in zip(*found, strict=True)))


def verified_sequences(checkpoint: Path, names: Collection[str] | None = None) -> SavedSequences:
    """Open the replay of a checkpoint, after comparing its files with the manifest.

    Args:
        checkpoint: The checkpoint, not only its replay.
        names: Columns that will be read, whether replay has them or not; None for all.

    Raises:
        CheckpointError: If replay is missing, or a file was changed; names the file.
    """
    manifest.verify(checkpoint, only=[f"{REPLAY_DIRECTORY}/{INDEX}"])
    saved = SavedSequences(checkpoint / REPLAY_DIRECTORY)
    files = [file_name(name) for name in saved.specs if names is None or name in names]
    manifest.verify(checkpoint, only=[f"{REPLAY_DIRECTORY}/{file}" for file in files])
    return saved


def _without_overlap(
    found: _Candidates, order: np.ndarray, rows: int, needed: int
) -> list[np.int64]:
    """Select candidates in the given order, skipping those that overlap an earlier one."""
    chosen: list[np.int64] = []
    while len(chosen) < rows and len(order):
        best = order[0]
        chosen.append(best)
        other = found.segment[order] != found.segment[best]
        order = order[other | (np.abs(found.start[order] - found.start[best]) >= needed)]
    return chosen
