"""The replay of a checkpoint as episodes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rllib_dreamerv3.agent.networks.saved import read_saved_networks, require_world_model
from rllib_dreamerv3.checkpoints.runs import find_checkpoint
from rllib_dreamerv3.data.dataset import Dataset
from rllib_dreamerv3.data.episode import Episode, episodes_of
from rllib_dreamerv3.errors import CheckpointError, DataError
from rllib_dreamerv3.records import ACTION, ACTION_MASK, IS_FIRST, IS_LAST, IS_TERMINAL, REWARD
from rllib_dreamerv3.replay.saved_sequences import verified_sequences
from rllib_dreamerv3.spaces.codecs import Spaces


class ReplayData(Dataset):
    """Episodes in the replay of a checkpoint; the oldest may lack its beginning."""

    format = "replay of a checkpoint"

    def __init__(self, checkpoint: Path):
        """Read the spaces and the index of replay, and verify the files of replay.

        Args:
            checkpoint: The checkpoint.

        Raises:
            CheckpointError: If it is damaged, or has no replay.
        """
        self.place = str(checkpoint)
        require_world_model(checkpoint)
        saved = read_saved_networks(checkpoint)
        self._observations, self._actions = saved.observations, saved.actions
        self.spaces = Spaces(saved.observations.space, saved.actions.space)
        self.env = saved.policy.env
        observed, masked = saved.observations.layout, saved.actions.layout.masked
        self._names = [leaf.key for leaf in observed.leaves] + [ACTION_MASK] * masked
        self._names += [REWARD, IS_FIRST, IS_LAST, IS_TERMINAL, ACTION]
        self._records = verified_sequences(checkpoint, self._names)

    @classmethod
    def of_run(cls, path: Path) -> "ReplayData":
        """Open the newest complete checkpoint of a run, or a checkpoint itself.

        Raises:
            CheckpointError: If there is none, or it has no replay.
        """
        return cls(find_checkpoint(path)[0])

    def parts(self) -> Sequence[str]:
        return [str(segment) for segment in range(len(self._records.segments()))]

    def read(self, part: str) -> Iterator[Episode]:
        where = self._records.segments()[int(part)]
        source = f"segment {part} of the replay of {self.place}"
        try:
            (is_first,) = self._records.read([where], [IS_FIRST])[IS_FIRST]
            starts = np.flatnonzero(is_first)
            for piece in np.split(where, starts[starts > 0]):
                columns = self._records.read([piece], self._names)
                records = {name: column[0] for name, column in columns.items()}
                yield from episodes_of(records, self._observations, self._actions, source)
        except CheckpointError as error:
            raise DataError(str(error)) from error
