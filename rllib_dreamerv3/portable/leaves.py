"""Observations as columns, and parts of action vectors as actions: one class for each kind of leaf.

A leaf is a part of a space without nesting. Arrays ``[N, ...]`` are those of N environments.
All that a leaf needs to know is plain data, see :func:`leaf_to_json`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .images import resize


@dataclass(frozen=True)
class Pixels:
    """An image, stored as a column ``[N, height, width, channels]``.

    Attributes:
        shape: Of a single value in the environment.
        channels_first: Whether the channels come first there.
        height: Of the column, to which images are resized.
        width: Of the column.
        channels: Of both.
        dtype: Of the column: uint8 or float32.
    """

    shape: tuple[int, ...]
    channels_first: bool
    height: int
    width: int
    channels: int
    dtype: str

    @property
    def size_in_env(self) -> tuple[int, int]:
        """Height and width of what the environment returns."""
        height, width = self.shape[1:] if self.channels_first else self.shape[:2]
        return height, width

    def unfit(self, value: np.ndarray) -> str | None:
        """Why ``[N, *shape]`` are no pixels of this kind; None if they are.

        Whole numbers of other dtypes, such as lists of a server's client, are pixels if they are
        within uint8. Floats are not, for nobody knows whether they are meant to be up to 1 or 255.
        """
        if self.dtype != "uint8" or value.dtype in (np.uint8, np.bool_):
            return None
        if value.dtype.kind not in "iu":
            return f"{value.dtype.name} where pixels must be uint8, whole numbers from 0 to 255"
        beyond = value[(value < 0) | (value > 255)]
        if not beyond.size:
            return None
        return f"the pixel {beyond[0]}, but pixels must be uint8, whole numbers from 0 to 255"

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column."""
        if self.channels_first:
            value = np.moveaxis(value, 1, -1)
        value = value.reshape(len(value), *self.size_in_env, self.channels)
        if self.dtype == "float32":
            value = to_float32(value)
        return resize(value.astype(self.dtype, copy=False), self.height, self.width)


@dataclass(frozen=True)
class Numbers:
    """Numbers of an observation, flattened to a column ``float32 [N, size]``.

    Attributes:
        shape: Of a single value in the environment.
    """

    shape: tuple[int, ...]

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column."""
        return to_float32(value).reshape(len(value), -1)


@dataclass(frozen=True)
class Classes:
    """What Discrete, MultiDiscrete and MultiBinary have in common, observed or chosen.

    Attributes:
        shape: Of a single value in the environment.
        dtype: Of a value in the environment.
        classes: Number of classes of each component, flattened to ``[M]``.
        start: First class of each component, ``[M]``.
    """

    shape: tuple[int, ...]
    dtype: str
    classes: tuple[int, ...]
    start: tuple[int, ...]

    def from_env(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` of the environment -> classes from 0 on, ``int64 [N, M]``."""
        return value.reshape(len(value), -1).astype(np.int64) - np.array(self.start)

    def to_env(self, classes: np.ndarray) -> np.ndarray:
        """Classes from 0 on ``[N, M]`` -> ``[N, *shape]`` of the environment."""
        value = classes.astype(np.int64) + np.array(self.start)
        return value.astype(self.dtype).reshape(len(classes), *self.shape)

    def unknown(self, classes: np.ndarray) -> tuple[int, int] | None:
        """Environment and component of the first class ``[N, M]`` that does not exist."""
        return first_where((classes < 0) | (classes >= np.array(self.classes)))

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column ``int32 [N, M]``."""
        return self.from_env(value).astype(np.int32)

    @property
    def width(self) -> int:
        """Of its part of the action vector: one-hot vectors side by side."""
        return sum(self.classes)

    def decode(self, vector: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, width]`` -> ``[N, *shape]``."""
        parts = np.split(vector, np.cumsum(self.classes)[:-1], axis=-1)
        return self.to_env(np.stack([part.argmax(axis=-1) for part in parts], axis=-1))

    def draw_noise(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        """What N samples of its part of the action vector need, float32 ``[N, 1]`` for each."""
        return [choice_noise(rng, n) for _ in self.classes]


@dataclass(frozen=True)
class Bounded:
    """Numbers of an action.

    Attributes:
        shape: Of a single value in the environment.
        dtype: Of a value in the environment.
        low: Least values, flattened ``[size]``, of the dtype.
        high: Greatest values, the same.
        scaled: Where -1 and 1 of the action vector stand for ``low`` and ``high``, ``[size]``.
            Elsewhere its numbers are the action's.
    """

    shape: tuple[int, ...]
    dtype: str
    low: np.ndarray
    high: np.ndarray
    scaled: np.ndarray

    @property
    def lowest_and_span(self) -> tuple[np.ndarray, np.ndarray]:
        """What stands for -1, and the range up to what stands for 1; float64 ``[size]``.

        For elements that are not scaled these are placeholders, which keep the arithmetic finite.
        """
        low, high = self.low.astype(np.float64), self.high.astype(np.float64)
        low, high = np.where(self.scaled, low, -1.0), np.where(self.scaled, high, 1.0)
        return low, high - low

    @property
    def width(self) -> int:
        """Of its part of the action vector."""
        return len(self.low)

    def decode(self, vector: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, size]``, clipped to [-1, 1] -> ``[N, *shape]``."""
        value = np.clip(vector.astype(np.float64), -1.0, 1.0)
        low, span = self.lowest_and_span
        value = np.where(self.scaled, (value + 1.0) / 2.0 * span + low, value)
        return into_bounds(value, self.low, self.high).reshape(len(vector), *self.shape)

    def draw_noise(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        """What N samples of its part of the action vector need, float32 ``[N, size]``."""
        return [number_noise(rng, n, self.width)]


ObservedLeaf = Pixels | Numbers | Classes
ChosenLeaf = Classes | Bounded

_OBSERVED: dict[str, Any] = {"image": Pixels, "numbers": Numbers, "classes": Classes}
_CHOSEN: dict[str, Any] = {"classes": Classes, "bounded": Bounded}
_INFINITE = {np.inf: "inf", -np.inf: "-inf"}


def leaf_to_json(leaf: ObservedLeaf | ChosenLeaf) -> dict[str, Any]:
    """Describes a leaf in plain JSON: its kind, and its attributes by name.

    Arrays become lists; infinite numbers, which JSON lacks, ``"inf"`` and ``"-inf"``.
    """
    kinds = _OBSERVED | _CHOSEN
    described: dict[str, Any] = {"kind": next(k for k, of in kinds.items() if type(leaf) is of)}
    for field in dataclasses.fields(leaf):
        value = getattr(leaf, field.name)
        if isinstance(value, np.ndarray):
            value = [_INFINITE.get(x, x) for x in value.tolist()]
        described[field.name] = list(value) if isinstance(value, tuple) else value
    return described


def observed_leaf(described: Mapping[str, Any]) -> ObservedLeaf:
    """Builds the leaf of an observation that :func:`leaf_to_json` described."""
    leaf: ObservedLeaf = _OBSERVED[described["kind"]](**_attributes(described))
    return leaf


def chosen_leaf(described: Mapping[str, Any]) -> ChosenLeaf:
    """Builds the leaf of an action that :func:`leaf_to_json` described."""
    values = _attributes(described)
    if described["kind"] == "bounded":
        for name, dtype in (("low", values["dtype"]), ("high", values["dtype"]), ("scaled", bool)):
            found = [float(x) if isinstance(x, str) else x for x in values[name]]
            values[name] = np.array(found, dtype)
    leaf: ChosenLeaf = _CHOSEN[described["kind"]](**values)
    return leaf


def _attributes(described: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: x for name, x in described.items() if name != "kind"}
    return {name: tuple(x) if isinstance(x, list) else x for name, x in given.items()}


def choice_noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Decides N choices: float32 ``[N, 1]`` in [0, 1)."""
    return rng.random((n, 1), np.float32)


def number_noise(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Decides N times ``size`` numbers: standard normal ones, float32 ``[N, size]``."""
    return rng.standard_normal((n, size), np.float32)


def latent_noise(rng: np.random.Generator, n: int, categoricals: int) -> np.ndarray:
    """Decides the sampled classes of N model states: float32 ``[N, categoricals]`` in [0, 1)."""
    return rng.random((n, categoricals), np.float32)


def to_float32(value: np.ndarray) -> np.ndarray:
    """Casts to ``float32``, clipped to its range; not copied if it is ``float32`` already."""
    if value.dtype.itemsize > 4:
        limit = float(np.finfo(np.float32).max)
        value = np.clip(value.astype(np.float64), -limit, limit)
    return value.astype(np.float32, copy=False)


def into_bounds(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Casts floats ``[N, ...]`` to the dtype of the bounds, rounded if needed, and inside them."""
    value = value.astype(np.float64)
    if low.dtype.kind != "f":
        value = np.rint(value)
    # The bounds of 64-bit integers are no float64 values: casting those would wrap around, hence
    # only what is strictly inside is cast. Rounding to a narrow float may still leave the bounds.
    inside = (value > low.astype(np.float64)) & (value < high.astype(np.float64))
    edge = np.where(value <= low.astype(np.float64), low, high)
    cast = np.where(inside, value, 0.0).astype(low.dtype)
    return np.clip(np.where(inside, cast, edge), low, high).astype(low.dtype)


def not_finite(value: np.ndarray) -> tuple[int, str] | None:
    """The first environment of ``[N, ...]`` with NaN or infinity, and which of these it has."""
    if value.dtype.kind != "f" or np.isfinite(value).all():
        return None
    env = int(np.argwhere(~np.isfinite(value))[0][0])
    return env, "NaN" if np.isnan(value[env]).any() else "infinity"


def first_where(wrong: np.ndarray) -> tuple[int, int] | None:
    """Row and column of the first True in bool ``[N, M]``; None if there is none."""
    if not wrong.any():
        return None
    row, column = np.argwhere(wrong)[0]
    return int(row), int(column)


def flat_mask(values: list[np.ndarray]) -> np.ndarray:
    """Parts of an action mask ``[N, ...]``, in the order of the action vector, as ``[N, M]``."""
    return np.concatenate([x.reshape(len(x), -1) for x in values], axis=-1)
