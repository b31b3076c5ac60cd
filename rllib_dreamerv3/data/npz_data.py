"""NPZ files of the authors' code: columns of consecutive records (2023 and 2025 code).

Each file has ``reward``, ``is_first``, ``is_last``, ``is_terminal``, ``action`` and one array for
each key of the observation, all ``[n, ...]``, with the meaning that ``records.py`` gives to them.
Actions of a Discrete space may be one-hot. Columns that the authors' driver and replay add are kept
here, since only the space tells whether they are observations: see `records_of`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rllib_dreamerv3.checkpoints.untrusted import require_regular
from rllib_dreamerv3.data.dataset import Dataset
from rllib_dreamerv3.data.episode import Episode, ends_of, slices_of_episodes
from rllib_dreamerv3.errors import DataError, describe
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST, IS_TERMINAL, REWARD, Columns
from rllib_dreamerv3.spaces.nesting import Batch

_FLAGS = (IS_FIRST, IS_LAST, IS_TERMINAL)


class NpzData(Dataset):
    """Episodes in NPZ files; no episode continues in another file."""

    format = "NPZ files of the authors' code"

    def __init__(self, place: Path, files: Sequence[Path]):
        """Create a dataset of these files.

        Args:
            place: Path that the user gave.
            files: The files, in order.
        """
        self.place = str(place)
        self._files = files

    def parts(self) -> Sequence[str]:
        return list(map(str, self._files))

    def read(self, part: str) -> Iterator[Episode]:
        columns = _columns(Path(part))
        for where in slices_of_episodes(columns):
            piece = {name: column[where] for name, column in columns.items()}
            yield Episode(
                _observations(piece),
                piece[ACTION][:-1],
                piece[REWARD][1:],
                **ends_of(piece),
                source=f"records {where.start} to {where.stop} of {part}",
            )


def _columns(path: Path) -> Columns:
    try:
        require_regular(path)
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        columns |= {name: columns[name].astype(bool) for name in _FLAGS if name in columns}
        _observations(columns)  # Nested keys may contradict each other.
    except Exception as error:  # Whatever NumPy's and zipfile's parsers raise.
        raise DataError(f"{path} is damaged: {describe(error)}") from error
    missing = [name for name in (REWARD, ACTION, *_FLAGS) if name not in columns]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}. It has {', '.join(columns)}.")
    lengths = {name: len(x) if x.ndim else 0 for name, x in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path} has columns of different lengths: {lengths}.")
    return columns


def _observations(columns: Columns) -> Batch:
    """Return the observations, nested at slashes in their names."""
    found = {name: x for name, x in columns.items() if name not in (REWARD, ACTION, *_FLAGS)}
    nested: Batch = {}
    for name, column in found.items():
        *outer, key = name.split("/")
        inner = nested
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[key] = column
    return nested
