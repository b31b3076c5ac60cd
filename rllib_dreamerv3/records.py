"""The record: what one stored step means, everywhere in this package.

A record holds everything that is known when the agent is about to choose an action:

====================  =========  ==============================================================
column                dtype      meaning
====================  =========  ==============================================================
``obs/<path>``        as stored  one column for each leaf of the observation space
``reward``            float32    reward that arrived *together with* the observation; 0 at a reset
``is_first``          bool       the observation comes from a reset
``is_last``           bool       the episode ends here, by termination or by truncation
``is_terminal``       bool       the episode ends here by termination (implies ``is_last``)
``action``            float32    ``[A]``, chosen *at* the observation; zeros where ``is_last``
``action_mask``       uint8      ``[M]``, 1 for choices that are allowed at the observation; only of
                                 environments that say so (see ``sampling/action_masks.py``)
``latent/h``          float32    ``[D]``, the model state at the record; both latents only where
                                 rows have a context record
``latent/index``      uint8      ``[S]``, class of each categorical of z
====================  =========  ==============================================================

An episode of N actions therefore fills N+1 records and needs no "next observation" column.
Source: 2023 code and 2025 code (the papers do not describe the layout).
"""

from dataclasses import dataclass

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

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class RecordChunk:
    """Consecutive records of one environment, as they travel from sampling to replay.

    Attributes:
        stream: Name of the stream the records belong to. One environment of one env runner
            writes one stream; a restarted env runner writes under new names.
        start: Position of the first record in its stream, counted from 0. Replay uses it to
            notice a gap: records behind a gap must never share a row with those before it.
        columns: Name -> array ``[n, ...]``, the same ``n`` for every column.
    """

    stream: str
    start: int
    columns: Columns

    def __len__(self) -> int:
        """Number of records in the chunk."""
        return len(self.columns[IS_FIRST])

    def env_steps(self) -> int:
        """Number of actions that were executed (records that do not end an episode)."""
        return len(self) - int(np.count_nonzero(self.columns[IS_LAST]))

    def agent_steps(self) -> int:
        """The same as :meth:`env_steps`: there is one agent. RLlib's evaluation asks for both."""
        return self.env_steps()
