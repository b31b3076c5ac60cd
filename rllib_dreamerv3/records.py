"""Records: the columns that are stored of the interaction with an environment.

A *record* holds one observation, the reward that came with it, and the action chosen at it:

====================  =========  ==============================================================
column                dtype      meaning
====================  =========  ==============================================================
``obs/<path>``        as stored  one column for each leaf of the observation space
``reward``            float32    reward that arrived *together with* the observation; 0 at a reset
``is_first``          bool       the observation comes from a reset
``is_last``           bool       the episode ends here, by termination or by truncation
``is_terminal``       bool       the episode ends here by termination (implies ``is_last``)
``action``            float32    ``[A]``, chosen *at* the observation; zeros where ``is_last``
``action_mask``       uint8      ``[M]``, 1 for choices that are allowed at the observation; only
                                 for environments with masks (see ``spaces/action_masks.py``)
``latent/h``          float32    ``[D]``, deterministic part of the model state at the record; both
                                 latents only where sequences have a context record (2025 code)
``latent/index``      uint8      ``[S]``, class of each categorical of the stochastic part z
====================  =========  ==============================================================

Terms used throughout this package:

* An *environment step* executes one action. It leads from a record to the next one. What the
  literature calls a *transition*, (o_t, a_t, r_{t+1}, o_{t+1}), is thus spread over two records;
  there is no "next observation" column. An episode of N steps fills N + 1 records.
* A *time step* t of a sequence is one record; a *step of the RSSM* goes from one to the next.
* A *stream* is all records of one environment in the order in which they came, episode after
  episode.
* A *sequence* is consecutive records of one stream, T of them for training; it may continue into
  the next episode. A batch ``[B, T, ...]`` has B sequences.

Source: 2023 code and 2025 code (the papers do not describe the layout).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

OBS_PREFIX = "obs/"
REWARD = "reward"
IS_FIRST = "is_first"
IS_LAST = "is_last"
IS_TERMINAL = "is_terminal"
ACTION = "action"
ACTION_MASK = "action_mask"
LATENT_H = "latent/h"
LATENT_INDEX = "latent/index"
MODEL_LOSS = "model_loss"
"""The world model's loss of a record in an update, ``[B, T]``. Not stored."""

Columns = dict[str, np.ndarray]


MAX_FILE_NAME = 255
"""Characters in the name of a file, on all usual file systems."""


def file_name(column: str) -> str:
    """Return the name of a column's file in checkpoints of replay."""
    # Quoting also keeps an index from pointing outside its directory.
    return quote(column, safe="") + ".npy"


class EndedEpisode(NamedTuple):
    """An episode that has ended.

    Attributes:
        ret: Undiscounted sum of rewards.
        length: Env steps.
        seconds: From its reset to its end.
        numbers: Name in ``info`` -> (last value, sum over steps).
    """

    ret: float
    length: int
    seconds: float = 0.0
    numbers: Mapping[str, tuple[float, float]] = {}


# First part of the names of streams that were not sampled by the run, but read from recorded data.
_RECORDED = "recorded-"


def recorded_stream(number: int) -> str:
    """Return the name of a stream of recorded data."""
    return f"{_RECORDED}{number}"


def is_recorded(stream: str) -> bool:
    """Whether a stream was read from recorded data, and not sampled by the run."""
    return stream.startswith(_RECORDED)


@dataclass(frozen=True)
class RecordChunk:
    """Consecutive records of one stream, as passed from sampling to replay.

    Attributes:
        stream: Name of the stream. One environment of one env runner writes one stream; a
            restarted env runner uses new names.
        start: Position of the first record in its stream, counted from 0. Replay uses it to detect
            gaps: no sequence may contain records from both sides of one.
        columns: Name -> array ``[n, ...]``, the same ``n`` for every column.
        ended: Episodes that have ended since the previous chunk. The last record of the last one
            may come with the next chunk, as no action follows it.
    """

    stream: str
    start: int
    columns: Columns
    ended: tuple[EndedEpisode, ...] = ()

    def __len__(self) -> int:
        return len(self.columns[IS_FIRST])

    def env_steps(self) -> int:
        """Return the number of env steps: records with an action, which do not end an episode."""
        return len(self) - int(np.count_nonzero(self.columns[IS_LAST]))

    def agent_steps(self) -> int:
        """Return :meth:`env_steps`, as there is one agent; called by RLlib's evaluation."""
        return self.env_steps()
