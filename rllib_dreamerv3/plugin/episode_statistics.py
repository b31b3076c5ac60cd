"""Returns and lengths of the last episodes, whatever iteration they ended in."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from ray.rllib.utils.metrics import (
    EPISODE_LEN_MAX,
    EPISODE_LEN_MEAN,
    EPISODE_LEN_MIN,
    EPISODE_RETURN_MAX,
    EPISODE_RETURN_MEAN,
    EPISODE_RETURN_MIN,
)

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, REWARD, RecordChunk

EPISODE_RETURN_LAST = "episode_return_last"


class Episode(NamedTuple):
    """An episode that has ended.

    Attributes:
        ret: Undiscounted sum of rewards.
        length: Env steps.
    """

    ret: float
    length: int


class _Running(NamedTuple):
    """An episode that goes on in a stream.

    Attributes:
        ret: Sum of its rewards so far.
        length: Env steps so far.
        end: Position in the stream after its newest record.
        whole: Whether none of its records was lost.
    """

    ret: float
    length: int
    end: int
    whole: bool


class EpisodeStatistics:
    """Follows episodes through record chunks and keeps those that ended last.

    RLlib's own statistics begin anew with every result, and are NaN in an iteration in which no
    episode ends. That is the rule where an episode takes longer than an iteration.
    """

    def __init__(self, size: int):
        """Starts empty.

        Args:
            size: Number of episodes to keep.
        """
        self._ended: deque[Episode] = deque(maxlen=size)
        self._running: dict[str, _Running] = {}

    def add(self, chunk: RecordChunk) -> None:
        """Takes in the next records of a stream.

        An episode of which records were lost on the way is not counted.
        """
        ret, length, end, whole = self._running.get(chunk.stream, _Running(0.0, 0, 0, False))
        whole &= chunk.start == end
        columns = chunk.columns
        for reward, first, last in zip(
            columns[REWARD].tolist(), columns[IS_FIRST], columns[IS_LAST], strict=True
        ):
            if first:
                ret, length, whole = 0.0, 0, True
            else:
                ret, length = ret + reward, length + 1
            if last and whole:
                self._ended.append(Episode(ret, length))
        self._running[chunk.stream] = _Running(ret, length, chunk.start + len(chunk), whole)

    def forget_running(self) -> None:
        """Drops the episodes that go on: their streams have ended."""
        self._running.clear()

    def results(self) -> dict[str, float]:
        """Mean, least and greatest return and length, under RLlib's names, and the last return.

        Empty if no episode has ended.
        """
        if not self._ended:
            return {}
        returns, lengths = np.transpose(self._ended)
        return {
            EPISODE_RETURN_LAST: self._ended[-1].ret,
            EPISODE_RETURN_MEAN: float(returns.mean()),
            EPISODE_RETURN_MIN: float(returns.min()),
            EPISODE_RETURN_MAX: float(returns.max()),
            EPISODE_LEN_MEAN: float(lengths.mean()),
            EPISODE_LEN_MIN: int(lengths.min()),
            EPISODE_LEN_MAX: int(lengths.max()),
        }

    def get_state(self) -> list[tuple[float, int]]:
        """The episodes that ended; running ones are cut by a restart and never counted."""
        return [(episode.ret, episode.length) for episode in self._ended]

    def set_state(self, state: Iterable[tuple[float, int]]) -> None:
        """Restores what :meth:`get_state` gave."""
        self._ended.clear()
        self._ended.extend(Episode(*episode) for episode in state)
        self.forget_running()
