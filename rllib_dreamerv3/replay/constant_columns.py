"""Whether observations change at all: a sensor that hangs looks like a world that is easy."""

import numpy as np

from rllib_dreamerv3.records import OBS_PREFIX, Columns


class ConstantColumns:
    """Follows the observation columns that have held one value in all records so far."""

    def __init__(self) -> None:
        """Begins without records."""
        self._first: dict[str, np.ndarray] | None = None
        self._num_columns = 0

    def add(self, columns: Columns) -> None:
        """Looks at records; costs nothing once every column has changed.

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
        """Of the observation columns, those that have never changed; 0 before the first record."""
        return len(self._first) / self._num_columns if self._first else 0.0
