"""Records the episodes of a run to files while it runs."""

import itertools
import logging
import time
from dataclasses import dataclass, field, replace

import gymnasium as gym
import numpy as np

from rllib_dreamerv3.data.episode import Episode, episodes_of
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.records import (
    IS_FIRST,
    IS_LAST,
    LATENT_H,
    LATENT_INDEX,
    Columns,
    RecordChunk,
)
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec
from rllib_dreamerv3.spaces.nesting import paths

# A file is written after this time or size, whichever comes first.
SECONDS_PER_FILE = 60.0
BYTES_PER_FILE = 64 * 2**20
# What the arrays of a record take in addition to their values, in bytes.
_OVERHEAD = 1024

logger = logging.getLogger(__name__)


@dataclass
class _Running:
    """The running episode of an environment.

    Attributes:
        stream: Its stream.
        end: Position of the next record in the stream.
        first: Position of its first record; None if that is missing.
        start: Position of the first of its records that are not written yet.
        records: These records; empty if the first one is missing.
    """

    stream: str
    end: int
    first: int | None = None
    start: int = 0
    records: list[Columns] = field(default_factory=list)


class Recorder:
    """Collects records of streams until their episodes end, and writes these to files.

    An episode of more than `BYTES_PER_FILE` is written in pieces. Episodes whose first record is
    missing are not written. The records of running episodes that were not written when the process
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
            episodes_per_file: Episodes after which a file is written, instead of
                `SECONDS_PER_FILE`; None for that time.
        """
        self._writer = writer
        self._codecs = observations, actions
        self._episodes_per_file = episodes_per_file
        # As written; what replay stores may be a tenth of it, if images are smaller there.
        record_bytes = _bytes_of(observations.space) + _bytes_of(actions.space) + _OVERHEAD
        self._records_per_file = max(2, BYTES_PER_FILE // record_bytes)
        # By place of the environment.
        self._running: dict[tuple[str, str], _Running] = {}
        self._ended: list[Episode] = []
        self._steps = 0
        self._written = time.monotonic()

    def add(self, chunk: RecordChunk) -> None:
        """Add consecutive records of a stream, before their rewards are clipped."""
        place = _place_of(chunk.stream)
        running = self._running.get(place)
        if running is None or (running.stream, running.end) != (chunk.stream, chunk.start):
            running = _Running(chunk.stream, chunk.start)
        for part in _split(chunk.columns, self._records_per_file):
            if part[IS_FIRST][0]:
                running.first = running.start = running.end
            running.end += len(part[IS_FIRST])
            ended = bool(part[IS_LAST][-1])
            if running.first is not None:
                running.records.append(part)
                if ended or running.end - running.start >= self._records_per_file:
                    self._take(running, running.first)
            if ended:
                running = _Running(chunk.stream, running.end)
        self._running[place] = running
        if self._is_due():
            self._write()

    def drop_running(self) -> None:
        """Forget the running episodes: their streams do not continue."""
        self._running.clear()

    def close(self) -> None:
        """Write the episodes that have ended."""
        if self._ended:
            self._write()

    def _take(self, running: _Running, first: int) -> None:
        """Take the records of a running episode for the next file; keep the last one."""
        names = running.records[0]
        columns = {name: np.concatenate([x[name] for x in running.records]) for name in names}
        for episode in episodes_of(columns, *self._codecs, source="the run"):
            name = f"{running.stream}-{first}"
            self._ended.append(replace(episode, name=name, start=running.start - first))
            self._steps += len(episode)
        # The last observation of a piece is the first one of the next.
        running.records = [{name: column[-1:].copy() for name, column in columns.items()}]
        running.start = running.end - 1

    def _is_due(self) -> bool:
        if self._steps >= self._records_per_file - 1:
            return True
        if self._episodes_per_file is not None:
            return len(self._ended) >= self._episodes_per_file
        return bool(self._ended) and time.monotonic() - self._written >= SECONDS_PER_FILE

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
        self._ended, self._steps, self._written = [], 0, time.monotonic()


def _place_of(stream: str) -> tuple[str, str]:
    """Return env runner and environment of a stream such as "t1.0.2-3": "t1" and "3".

    They have a new stream after each reset of the env runner, and the earlier one has ended then.
    """
    return stream.partition(".")[0], stream.rpartition("-")[2]


def _bytes_of(space: gym.Space) -> int:
    """Return the size of one value in bytes."""
    return sum(np.empty(part.shape or (), part.dtype).nbytes for _, part in paths(space))


def _split(columns: Columns, most: int) -> list[Columns]:
    """Copy records without latents, split after each end of an episode and after ``most`` records.

    A view would keep the arrays of all environments in memory.
    """
    records = len(columns[IS_LAST])
    ends = np.flatnonzero(columns[IS_LAST]) + 1
    bounds = np.unique([0, *ends, *range(0, records, most), records]).tolist()
    names = [name for name in columns if name not in (LATENT_H, LATENT_INDEX)]
    return [
        {name: columns[name][low:high].copy() for name in names}
        for low, high in itertools.pairwise(bounds)
    ]
