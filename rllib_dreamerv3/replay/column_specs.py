"""Dtypes and shapes of record columns, and their comparison."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, Columns


class ColumnSpec(NamedTuple):
    """Dtype of a column, and shape of one record's value."""

    dtype: np.dtype
    shape: tuple[int, ...]

    def __str__(self) -> str:
        """Format dtype and shape for messages, e.g. ``uint8[64, 64, 3]``."""
        return f"{self.dtype}{list(self.shape)}"

    def num_bytes(self) -> int:
        """Return the bytes of one record's value."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


Specs = dict[str, ColumnSpec]


def bytes_of(specs: Specs) -> int:
    """Return the bytes of one record over all columns."""
    return sum(spec.num_bytes() for spec in specs.values())


def describe_difference(specs: Mapping[str, ColumnSpec], expected: Specs) -> str | None:
    """Describe the first difference of two layouts for a message; None if they agree."""
    for name, spec in expected.items():
        if name not in specs:
            return f"column {name!r} ({spec}) is missing"
        if specs[name] != spec:
            return f"column {name!r} is {specs[name]} but was {spec} before"
    for name, spec in specs.items():
        if name not in expected:
            return f"column {name!r} ({spec}) was not there before"
    return None


def check_specs(specs: Specs) -> None:
    """Raise ValueError, naming the column, if such records cannot be stored."""
    for name, spec in specs.items():
        if spec.dtype.kind not in "biufc":
            raise ValueError(
                f"Column {name!r} has dtype {spec.dtype}; replay stores only numbers and booleans."
            )
    for name in (IS_FIRST, IS_LAST):
        if specs.get(name) != (np.dtype(np.bool_), ()):
            found = specs.get(name, "missing")
            raise ValueError(
                f"Column {name!r} must be one bool per record (bool[]), but is {found}."
            )


def specs_of(columns: Columns, expected: Specs) -> Specs:
    """Return the specs of new columns; raise ValueError if they do not fit earlier ones."""
    for name, column in columns.items():
        if not isinstance(column, np.ndarray) or column.ndim == 0:
            raise ValueError(
                f"Column {name!r} must be an array [n, ...] with one item for each record; "
                f"it is {type(column).__name__} of shape {np.shape(column)}."
            )
    specs = {name: ColumnSpec(c.dtype, c.shape[1:]) for name, c in columns.items()}
    if not expected:
        check_specs(specs)
    elif specs != expected:
        difference = describe_difference(specs, expected)
        raise ValueError(f"These records do not fit the stored ones: {difference}.")
    num_records = len(columns[IS_FIRST])
    for name, column in columns.items():
        if len(column) != num_records:
            raise ValueError(
                f"Column {name!r} has {len(column)} records but {IS_FIRST!r} has {num_records}."
            )
    return specs
