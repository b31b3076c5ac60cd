"""Reward clipping on the way into replay, and statistics of the last episodes for results.

RLlib clips rewards when it prepares a training batch. Clipping on the way into replay is
equivalent, since the policy never sees a reward. Reported returns are not clipped.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_AGENT_ID, DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import (
    EPISODE_DURATION_SEC_MEAN,
    EPISODE_LEN_MAX,
    EPISODE_LEN_MEAN,
    EPISODE_LEN_MIN,
    EPISODE_RETURN_MAX,
    EPISODE_RETURN_MEAN,
    EPISODE_RETURN_MIN,
)

from rllib_dreamerv3.records import REWARD, EndedEpisode, RecordChunk


def clip_rewards(chunk: RecordChunk, clip: bool | float | None) -> RecordChunk:
    """Clip the rewards of records for training.

    Args:
        chunk: Records as they were sampled; not changed.
        clip: True for the sign of each reward, a number x for rewards in [-x, x], False or None for
            no clipping.

    Returns:
        Records that share all columns but the rewards with ``chunk``.
    """
    if clip is None or clip is False:
        return chunk
    raw = chunk.columns[REWARD]
    clipped = np.sign(raw) if clip is True else np.clip(raw, -np.float32(clip), np.float32(clip))
    return dataclasses.replace(chunk, columns={**chunk.columns, REWARD: clipped})


EPISODE_RETURN_LAST = "episode_return_last"
INFO = "info"
INFO_LAST, INFO_SUM = "last_mean", "sum_mean"


class EpisodeStatistics:
    """Statistics of the last episodes that ended.

    RLlib's own statistics restart with every result, and are NaN in an iteration in which no
    episode ends, as is common if episodes take longer than an iteration.
    """

    def __init__(self, size: int):
        """Start empty.

        Args:
            size: Number of episodes to keep.
        """
        self._ended: deque[EndedEpisode] = deque(maxlen=size)

    def add(self, episodes: Iterable[EndedEpisode]) -> None:
        self._ended.extend(episodes)

    def results(self) -> dict[str, Any]:
        """Compute the metrics of the episodes, under RLlib's names.

        Returns:
            Mean, minimum and maximum of return and length, mean duration in seconds, the last
            return, and for each number in ``info`` the means of its last value and of its sum over
            the episodes that have it. Empty if no episode has ended.
        """
        if not self._ended:
            return {}
        returns = np.array([episode.ret for episode in self._ended])
        lengths = np.array([episode.length for episode in self._ended])
        mean = float(returns.mean())
        results = {
            EPISODE_RETURN_LAST: self._ended[-1].ret,
            EPISODE_RETURN_MEAN: mean,
            EPISODE_RETURN_MIN: float(returns.min()),
            EPISODE_RETURN_MAX: float(returns.max()),
            EPISODE_LEN_MEAN: float(lengths.mean()),
            EPISODE_LEN_MIN: int(lengths.min()),
            EPISODE_LEN_MAX: int(lengths.max()),
            EPISODE_DURATION_SEC_MEAN: float(np.mean([x.seconds for x in self._ended])),
            "agent_episode_return_mean": {DEFAULT_AGENT_ID: mean},
            "module_episode_return_mean": {DEFAULT_MODULE_ID: mean},
        }
        numbers: dict[str, list[tuple[float, float]]] = {}
        for episode in self._ended:
            for name, number in episode.numbers.items():
                numbers.setdefault(name, []).append(number)
        if numbers:
            results[INFO] = {
                name: dict(
                    zip((INFO_LAST, INFO_SUM), np.mean(values, axis=0).tolist(), strict=True)
                )
                for name, values in numbers.items()
            }
        return results

    def get_state(self) -> list[EndedEpisode]:
        return list(self._ended)

    def set_state(self, state: Iterable[Iterable[Any]]) -> None:
        """Restore the result of :meth:`get_state`; older checkpoints have returns and lengths."""
        self._ended.clear()
        self._ended.extend(EndedEpisode(*episode) for episode in state)
