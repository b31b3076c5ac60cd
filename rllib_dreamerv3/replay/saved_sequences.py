"""Reads single sequences of a replay checkpoint: no buffer is filled, nothing else is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import IS_FIRST, Columns
from rllib_dreamerv3.replay.checkpoint import INDEX, file_name, open_column, read_index


class _Candidates(NamedTuple):
    """Sequences that could be read, N of them, segment after segment.

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
        specs: Column name -> dtype and shape of what is stored.
    """

    def __init__(self, directory: Path):
        """Reads the index.

        Args:
            directory: What :func:`~rllib_dreamerv3.replay.checkpoint.save` wrote.

        Raises:
            CheckpointError: If it is no such directory, or is damaged.
        """
        self._directory = directory
        self._index = read_index(directory)
        self.specs = self._index.specs

    @staticmethod
    def file_of(column: str) -> str:
        """Name of the file that holds a column."""
        return file_name(column)

    def draw(self, rows: int, length: int, context: int, seed: int) -> list[np.ndarray]:
        """Draws sequences: as few episodes as possible begin within each, and none overlap.

        Args:
            rows: How many to draw. If there are not so many, some overlap, or there are fewer.
            length: Training records of each.
            context: Records in front of them, 0 or 1.
            seed: Decides which.

        Returns:
            For each where its records are in the column files, int64 ``[context + length]``.

        Raises:
            CheckpointError: If no stretch is so long; says how long the longest is.
        """
        places = self._places()
        needed = context + length
        longest = max(map(len, places), default=0)
        if longest < needed:
            raise CheckpointError(
                f"{self._directory} has no {needed} consecutive records: the longest stretch "
                f"without a gap has {longest}. Ask for sequences of at most "
                f"{max(longest - context, 0)} (--length)."
            )
        found = self._candidates(places, needed, context)
        order = np.random.default_rng(seed).permutation(len(found.start))
        order = order[np.argsort(found.new_episodes[order], kind="stable")]
        chosen = [
            *_without_overlap(found, order, rows, needed),
            *order[:rows],
        ]
        return [
            places[found.segment[i]][found.start[i] : found.start[i] + needed]
            for i in list(dict.fromkeys(chosen))[:rows]
        ]

    def first_records(self, most: int, seed: int) -> np.ndarray:
        """Draws records with which episodes begin.

        Args:
            most: How many at most.
            seed: Decides which.

        Returns:
            Where they are in the column files, int64 ``[n]``; all different.

        Raises:
            CheckpointError: If a column is missing or damaged.
        """
        where = np.flatnonzero(self._column(IS_FIRST))
        return np.random.default_rng(seed).permutation(where)[:most]

    def read(self, sequences: Sequence[np.ndarray], names: Sequence[str]) -> Columns:
        """Reads the records of B sequences, each as long as the others.

        Args:
            sequences: Where the records are, see :meth:`draw`.
            names: Columns to read.

        Returns:
            Column name -> array ``[B, context + length, ...]``.

        Raises:
            CheckpointError: If a column is missing or damaged.
        """
        where = np.stack(sequences)
        return {name: self._column(name)[where] for name in names}

    def spread(self, name: str, most: int) -> np.ndarray:
        """Reads a column at records that are spread over all of them.

        Args:
            name: The column.
            most: How many records at most.

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

    def _places(self) -> list[np.ndarray]:
        """For each segment where its records are in the files, int64 ``[n]``."""
        parts: list[list[np.ndarray]] = [[] for _ in self._index.segments]
        begin = 0
        for segment, records in self._index.chunks:
            parts[segment].append(np.arange(begin, begin + records))
            begin += records
        return [np.concatenate(part) for part in parts]

    def _candidates(self, places: list[np.ndarray], needed: int, context: int) -> _Candidates:
        is_first = np.asarray(self._column(IS_FIRST))
        found = []
        for segment, where in enumerate(places):
            starts = np.arange(max(len(where) - needed + 1, 0))
            begun = np.concatenate([[0], np.cumsum(is_first[where])])
            within = begun[starts + needed] - begun[starts + context + 1]
            found.append((np.full(len(starts), segment), starts, within))
        return _Candidates(*(np.concatenate(x) for x in zip(*found, strict=True)))


def _without_overlap(
    found: _Candidates, order: np.ndarray, rows: int, needed: int
) -> list[np.int64]:
    """The first candidates of an order, none of which shares records with one before it."""
    chosen: list[np.int64] = []
    while len(chosen) < rows and len(order):
        best = order[0]
        chosen.append(best)
        other = found.segment[order] != found.segment[best]
        order = order[other | (np.abs(found.start[order] - found.start[best]) >= needed)]
    return chosen
