"""Observations of an exported policy: flattened, checked, and encoded."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .leaves import (
    Categorical,
    Image,
    ObservationLeaf,
    first_where,
    flat_mask,
    not_finite,
    observed_leaf,
)

MASK = "action_mask"


class Observations:
    """Encodes observations as described in ``policy.json``.

    As in training, keys of a dict that the space does not have are ignored.
    """

    def __init__(self, described: Mapping[str, Any]):
        """Read the entries ``observations`` and ``action_mask``."""
        leaves = described["observations"]
        self._leaves = [observed_leaf(leaf["array"], leaf["column"]) for leaf in leaves]
        self._inputs = [leaf["input"] for leaf in leaves]
        self._mask = described[MASK]
        parts = [*leaves, *(self._mask["leaves"] if self._mask else [])]
        self._paths: list[list[Any]] = [list(part["path"]) for part in parts]
        self._shapes = [tuple(part["shape"]) for part in parts]

    def of_no_environment(self) -> dict[str, np.ndarray]:
        """Return inputs of the model for N = 0, for their shapes.

        Raises:
            Exception: If shapes or dtypes of the description are none, or contradict each other.
        """
        columns = {}
        for name, leaf, shape in zip(self._inputs, self._leaves, self._shapes, strict=False):
            columns[name] = np.empty((0, *leaf.shape), leaf.dtype)
            if leaf.decode(columns[name]).shape[1:] != shape:
                raise ValueError(f"{name!r} has two shapes, {leaf.env_shape} and {shape}")
        if self._mask:
            columns[MASK] = np.empty((0, sum(self._mask["choices"])), np.uint8)
        return columns

    def encode(self, observation: Any) -> tuple[dict[str, np.ndarray], bool]:
        """Encode the observation of one environment, or those of N.

        Returns:
            Inputs of the model by name, arrays ``[N, ...]``; and whether it was one environment.

        Raises:
            ValueError: If its shape is wrong or its content invalid.
        """
        values, single = self._batched(observation)
        columns = {}
        for name, path, leaf, value in zip(
            self._inputs, self._paths, self._leaves, values, strict=False
        ):
            check(value, leaf, path)
            columns[name] = leaf.encode(value)
        if self._mask:
            columns[MASK] = _mask(values[len(self._leaves) :], self._mask["choices"])
        return columns, single

    def _batched(self, observation: Any) -> tuple[list[np.ndarray], bool]:
        """Return the values of all leaves ``[N, ...]``, and whether it was one environment."""
        values = parts_at(observation, self._paths)
        if all(x.shape == shape for x, shape in zip(values, self._shapes, strict=True)):
            return [x[None] for x in values], True
        if len({x.shape[:1] for x in values}) == 1 and all(
            x.shape[1:] == shape for x, shape in zip(values, self._shapes, strict=True)
        ):
            require_environments(len(values[0]))
            return values, False
        found = ", ".join(str(x.shape) for x in values)
        raise ValueError(
            f"The observation has parts of the shapes {found} instead of "
            f"{', '.join(map(str, self._shapes))}, optionally with a leading axis of N "
            "environments."
        )


def parts_at(observation: Any, paths: Sequence[Sequence[Any]]) -> list[np.ndarray]:
    """Return the parts of an observation at paths; raise ValueError if one is missing."""
    try:
        return [np.asarray(_at(observation, path)) for path in paths]
    except (KeyError, IndexError, TypeError) as error:
        wanted = ", ".join("/".join(map(str, path)) for path in paths)
        raise ValueError(f"The observation must have the parts {wanted}.") from error


def require_environments(n: int) -> None:
    """Raise ValueError for an empty batch."""
    if n == 0:
        raise ValueError("The observation is of 0 environments; there must be at least one.")


def _at(observation: Any, path: Sequence[Any]) -> Any:
    for key in path:
        observation = observation[key]
    return observation


def _where(path: Sequence[Any]) -> str:
    return f" at {'/'.join(map(str, path))!r}" if path else ""


def check(value: np.ndarray, leaf: ObservationLeaf, path: Sequence[Any]) -> None:
    """Raise ValueError for invalid values of a leaf ``[N, ...]``; name its path."""
    if value.dtype.kind not in "buif":
        raise ValueError(f"The observation{_where(path)} is {value.dtype.name}, not numeric.")
    if isinstance(leaf, Categorical):
        unknown = leaf.unknown(value)
        if unknown is not None:
            wrong = value.reshape(len(value), -1)[unknown]
            raise ValueError(
                f"The observation of environment {unknown[0]} has the class {wrong}"
                f"{_where(path)}, which does not exist."
            )
        return
    found = not_finite(value)
    if found is not None:
        raise ValueError(f"The observation of environment {found[0]} has {found[1]}{_where(path)}.")
    unfit = leaf.unfit(value) if isinstance(leaf, Image) else None
    if unfit is not None:
        raise ValueError(f"The observation has{_where(path)} {unfit}.")


def _mask(values: list[np.ndarray], choices: Sequence[int]) -> np.ndarray:
    """Return the action mask ``uint8 [N, M]``; check that each part has an allowed choice."""
    mask = flat_mask(values)
    wrong = first_where((mask != 0) & (mask != 1))
    if wrong is not None:
        raise ValueError(
            f"The action mask of environment {wrong[0]} has {mask[wrong]} in entry {wrong[1]}: "
            "entries are 1 (allowed) or 0."
        )
    for start, end in _ranges(choices):
        empty = ~mask[:, start:end].any(axis=-1)
        if empty.any():
            raise ValueError(
                f"The action mask of environment {int(np.argmax(empty))} allows no choice in its "
                f"entries {start} to {end - 1}."
            )
    return mask.astype(np.uint8)


def _ranges(widths: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for width in widths:
        yield start, start + width
        start += width
