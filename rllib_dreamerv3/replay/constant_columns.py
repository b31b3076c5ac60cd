"""Detects constant observations: to a world model, a hanging sensor looks like an easy task."""

import numpy as np

from rllib_dreamerv3.records import OBS_PREFIX, Columns


class ConstantColumns:
    """Tracks the observation columns that have had one value in all records so far."""

    def __init__(self) -> None:
        self._first: dict[str, np.ndarray] | None = None
        self._num_columns = 0

    def add(self, columns: Columns) -> None:
        """Check new records; free once every column has changed.

        Args:
            columns: Arrays ``[records, ...]``, the same columns each time.
        """
        if self._first is None:
            observed = {name: x for name, x in columns.items() if name.startswith(OBS_PREFIX)}
            self._num_columns = len(observed)
            self._first = {name: np.array(column[0]) for name, column in observed.items()}
        for name, first in list(self._first.items()):
            if (columns[name] != first).any():
                del self._first[name]

    @property
    def share(self) -> float:
        """Share of observation columns that have never changed; 0 before the first record."""
        return len(self._first) / self._num_columns if self._first else 0.0
