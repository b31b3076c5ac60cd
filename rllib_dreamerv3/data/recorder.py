"""Records the episodes of a run to files while it runs."""

import logging
import time

import numpy as np

from rllib_dreamerv3.data.episode import Episode, episodes_of
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.records import IS_FIRST, IS_LAST, Columns, RecordChunk
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec

# A file is written after this time or size, whichever comes first.
SECONDS_PER_FILE = 60.0
BYTES_PER_FILE = 64 * 2**20

logger = logging.getLogger(__name__)


class Recorder:
    """Collects records of streams until their episodes end, and writes these to files.

    Episodes whose first record is missing are not written. Those that are running when the process
    ends are lost: `close` does not write them either, since their ends are unknown.
    """

    def __init__(
        self,
        writer: EpisodeWriter,
        observations: ObservationCodec,
        actions: ActionCodec,
        *,
        episodes_per_file: int | None = None,
    ):
        """Create a recorder without records.

        Args:
            writer: Writes the files.
            observations: Codec of the observations.
            actions: Codec of the actions.
            episodes_per_file: Episodes after which a file is written; None for
                `SECONDS_PER_FILE` and `BYTES_PER_FILE`.
        """
        self._writer = writer
        self._codecs = observations, actions
        self._episodes_per_file = episodes_per_file
        # Stream -> position of its next record, and the records of its running episode.
        self._running: dict[str, tuple[int, list[Columns]]] = {}
        self._ended: list[Episode] = []
        self._bytes = 0
        self._written = time.monotonic()

    def add(self, chunk: RecordChunk) -> None:
        """Add consecutive records of a stream, before their rewards are clipped."""
        position, parts = self._running.pop(chunk.stream, (chunk.start, []))
        if position != chunk.start:
            parts = []
        ends = np.flatnonzero(chunk.columns[IS_LAST]) + 1
        for piece in _split(chunk.columns, ends):
            parts.append(piece)
            if piece[IS_LAST][-1]:
                self._end({name: np.concatenate([x[name] for x in parts]) for name in piece})
                parts = []
        self._running[chunk.stream] = chunk.start + len(chunk), parts
        if self._is_due():
            self._write()

    def drop_running(self) -> None:
        """Forget the running episodes: their streams do not continue."""
        self._running.clear()

    def close(self) -> None:
        """Write the episodes that have ended."""
        if self._ended:
            self._write()

    def _end(self, columns: Columns) -> None:
        if not columns[IS_FIRST][0]:
            return  # Its beginning was lost, and readers would take the rest for the whole.
        self._ended += episodes_of(columns, *self._codecs, source="the run")
        self._bytes += sum(column.nbytes for column in columns.values())

    def _is_due(self) -> bool:
        if self._episodes_per_file is not None:
            return len(self._ended) >= self._episodes_per_file
        waited = time.monotonic() - self._written >= SECONDS_PER_FILE
        return bool(self._ended) and (waited or self._bytes >= BYTES_PER_FILE)

    def _write(self) -> None:
        try:
            self._writer.write(self._ended)
        except OSError as error:
            # As with checkpoints, a failure to write must not end training.
            logger.warning(
                "%d recorded episodes are lost: a file in %s could not be written. %s",
                len(self._ended),
                self._writer.directory,
                error.strerror or error,
            )
        self._ended, self._bytes, self._written = [], 0, time.monotonic()


def _split(columns: Columns, ends: np.ndarray) -> list[Columns]:
    """Split records after each end of an episode; omit empty pieces."""
    pieces = [
        dict(zip(columns, part, strict=True))
        for part in zip(*(np.split(column, ends) for column in columns.values()), strict=True)
    ]
    return [piece for piece in pieces if len(piece[IS_LAST])]
