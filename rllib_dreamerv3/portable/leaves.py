"""Leaves of nested observations and actions: one class for each kind.

A leaf describes a value in the environment and its form in records and networks: a column of an
observation, or a part of the action vector. Two leaves are equal if they are the same for networks.
Arrays ``[N, ...]`` are those of N environments. All attributes are plain data, see
:func:`leaf_to_json`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .images import nearest, resize


@dataclass(frozen=True)
class Image:
    """An image column ``[..., height, width, channels]``, scaled to [0, 1] by its bounds.

    Attributes:
        key: Record column, ``obs/<path>``.
        height: Pixels, to which images are resized.
        width: Pixels.
        channels: Number of channels, which are always last in a record.
        low: Value that becomes 0.0.
        high: Value that becomes 1.0.
        dtype: NumPy dtype name of the stored column: ``uint8`` or ``float32``.
        env_shape: Shape of a single value in the environment.
        channels_first: Whether the channels come first in the environment.
    """

    key: str
    height: int
    width: int
    channels: int
    low: float = 0.0
    high: float = 255.0
    dtype: str = "uint8"
    env_shape: tuple[int, ...] = field(default=(), compare=False)
    channels_first: bool = field(default=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one stored value."""
        return (self.height, self.width, self.channels)

    @property
    def size_in_env(self) -> tuple[int, int]:
        """Height and width of the environment's images."""
        height, width = self.env_shape[1:] if self.channels_first else self.env_shape[:2]
        return height, width

    def unfit(self, value: np.ndarray) -> str | None:
        """Why ``[N, *env_shape]`` are not valid pixels; None if they are.

        Integers of other dtypes, such as lists in a request to a server, are valid if they are
        within uint8. Floats are rejected: their range could be 1 or 255.
        """
        if self.dtype != "uint8" or value.dtype in (np.uint8, np.bool_):
            return None
        if value.dtype.kind not in "iu":
            return f"{value.dtype.name}, but pixels must be uint8, integers from 0 to 255"
        beyond = value[(value < 0) | (value > 255)]
        if not beyond.size:
            return None
        return f"the pixel {beyond[0]}, but pixels must be uint8, integers from 0 to 255"

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *env_shape]`` -> column."""
        if self.channels_first:
            value = np.moveaxis(value, 1, -1)
        value = value.reshape(len(value), *self.size_in_env, self.channels)
        if self.dtype == "float32":
            value = to_float32(value)
        return resize(value.astype(self.dtype, copy=False), self.height, self.width)

    def decode(self, column: np.ndarray) -> np.ndarray:
        """Column -> ``[N, *env_shape]``; lossy after downscaling."""
        # Nearest-neighbour sampling inverts an enlargement exactly.
        column = nearest(column, *self.size_in_env)
        if self.channels_first:
            column = np.moveaxis(column, -1, 1)
        return column.reshape(len(column), *self.env_shape)


@dataclass(frozen=True)
class Vector:
    """A float column ``[..., size]``: numbers of any scale, flattened.

    Attributes:
        key: Record column, ``obs/<path>``.
        size: Number of elements.
        dtype: NumPy dtype name of the stored column.
        env_shape: Shape of a single value in the environment.
    """

    key: str
    size: int
    dtype: str = "float32"
    env_shape: tuple[int, ...] = field(default=(), compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one stored value."""
        return (self.size,)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *env_shape]`` -> column."""
        return to_float32(value).reshape(len(value), -1)

    def decode(self, column: np.ndarray) -> np.ndarray:
        """Column -> ``[N, *env_shape]``."""
        return column.reshape(len(column), *self.env_shape)


class _Classes:
    """Common base of Discrete, MultiDiscrete and MultiBinary, in observations or actions."""

    classes: tuple[int, ...]
    start: tuple[int, ...]
    env_shape: tuple[int, ...]
    env_dtype: str

    def from_env(self, value: np.ndarray) -> np.ndarray:
        """``[N, *env_shape]`` of the environment -> zero-based classes, ``int64 [N, M]``."""
        with np.errstate(invalid="ignore"):  # NaN becomes an invalid class.
            return value.reshape(len(value), -1).astype(np.int64) - np.array(self.start)

    def unknown(self, value: np.ndarray) -> tuple[int, int] | None:
        """Environment and component of the first invalid class in ``[N, *env_shape]``."""
        classes = self.from_env(value)
        # 1.7 is no class, and -0.5 not class 0.
        changed = classes + np.array(self.start) != value.reshape(len(value), -1)
        return first_where(changed | (classes < 0) | (classes >= np.array(self.classes)))

    def to_env(self, classes: np.ndarray) -> np.ndarray:
        """Zero-based classes ``[N, M]`` -> ``[N, *env_shape]`` of the environment."""
        value = classes.astype(np.int64) + np.array(self.start)
        return value.astype(self.env_dtype).reshape(len(classes), *self.env_shape)


@dataclass(frozen=True)
class Categorical(_Classes):
    """An integer column ``[..., len(classes)]``: component i is one of ``classes[i]`` classes.

    Attributes:
        key: Record column, ``obs/<path>``.
        classes: Number of classes of each component, flattened to ``[M]``.
        dtype: NumPy dtype name of the stored column.
        start: First class of each component in the environment, ``[M]``.
        env_shape: Shape of a single value in the environment.
        env_dtype: Dtype in the environment.
    """

    key: str
    classes: tuple[int, ...]
    dtype: str = "int32"
    start: tuple[int, ...] = field(default=(), compare=False)
    env_shape: tuple[int, ...] = field(default=(), compare=False)
    env_dtype: str = field(default="int64", compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one stored value."""
        return (len(self.classes),)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *env_shape]`` -> column of zero-based classes."""
        return self.from_env(value).astype(self.dtype)

    def decode(self, column: np.ndarray) -> np.ndarray:
        """Column -> ``[N, *env_shape]``."""
        return self.to_env(column)


ObservationLeaf = Image | Vector | Categorical


@dataclass(frozen=True)
class DiscreteAction:
    """``n`` choices, one-hot in the action vector."""

    n: int

    @property
    def size(self) -> int:
        """Width in the action vector."""
        return self.n


@dataclass(frozen=True)
class DiscreteActions(_Classes):
    """The classes of one space: a :class:`DiscreteAction` for each component, side by side.

    Attributes:
        classes: Number of classes of each component, flattened to ``[M]``.
        start: First class of each component in the environment, ``[M]``.
        env_shape: Shape of a single value in the environment.
        env_dtype: Dtype in the environment.
    """

    classes: tuple[int, ...]
    start: tuple[int, ...]
    env_shape: tuple[int, ...]
    env_dtype: str

    @property
    def leaves(self) -> tuple[DiscreteAction, ...]:
        """As networks see it."""
        return tuple(map(DiscreteAction, self.classes))

    @property
    def size(self) -> int:
        """Width in the action vector."""
        return sum(self.classes)

    def decode(self, vector: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, size]`` -> ``[N, *env_shape]``."""
        parts = np.split(vector, np.cumsum(self.classes)[:-1], axis=-1)
        return self.to_env(np.stack([part.argmax(axis=-1) for part in parts], axis=-1))

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *env_shape]`` -> its part of the action vectors ``float32 [N, size]``."""
        classes = self.from_env(value)
        return np.concatenate([one_hot(classes[:, i], n) for i, n in enumerate(self.classes)], -1)

    def draw_noise(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        """Random numbers for N samples of its part of the vector, float32 ``[N, 1]`` each."""
        return [choice_noise(rng, n) for _ in self.classes]


@dataclass(frozen=True)
class ContinuousAction:
    """``size`` numbers, nominally in [-1, 1].

    Attributes:
        size: Width in the action vector.
        low: Minimum in the environment, flattened ``[size]``, of its dtype.
        high: Maximum in the environment, likewise.
        scaled: Where [-1, 1] of the action vector is scaled to ``low`` and ``high``, ``[size]``.
            Other elements are passed unscaled.
        env_shape: Shape of a single value in the environment.
    """

    size: int
    low: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False)
    high: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False)
    scaled: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False)
    env_shape: tuple[int, ...] = field(default=(), compare=False)

    @property
    def leaves(self) -> tuple["ContinuousAction"]:
        """As networks see it."""
        return (self,)

    @property
    def _lowest_and_span(self) -> tuple[np.ndarray, np.ndarray]:
        """The values of -1 and the range up to the values of 1; float64 ``[size]``.

        For unscaled elements these are placeholders, which keep the arithmetic finite.
        """
        low, high = self.low.astype(np.float64), self.high.astype(np.float64)
        low, high = np.where(self.scaled, low, -1.0), np.where(self.scaled, high, 1.0)
        return low, high - low

    def decode(self, vector: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, size]``, clipped to [-1, 1] -> ``[N, *env_shape]``.

        Clipped as in the 2023 and 2025 code; the world model gets the clipped action too.
        """
        value = np.clip(vector.astype(np.float64), -1.0, 1.0)
        low, span = self._lowest_and_span
        value = np.where(self.scaled, (value + 1.0) / 2.0 * span + low, value)
        return into_bounds(value, self.low, self.high).reshape(len(vector), *self.env_shape)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *env_shape]`` -> its part of the action vectors ``float32 [N, size]``."""
        value = value.reshape(len(value), -1).astype(np.float64)
        low, width = self._lowest_and_span
        span = np.where(width > 0.0, width, 1.0)
        unit = np.clip(2.0 * (value - low) / span - 1.0, -1.0, 1.0)
        unit = np.where(width > 0.0, unit, 0.0)
        return np.where(self.scaled, unit, np.clip(value, -1.0, 1.0)).astype(np.float32)

    def draw_noise(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        """Random numbers for N samples of its part of the vector, float32 ``[N, size]``."""
        return [number_noise(rng, n, self.size)]


ActionLeaf = DiscreteAction | ContinuousAction
ActionPart = DiscreteActions | ContinuousAction

_INFINITE = {np.inf: "inf", -np.inf: "-inf"}


def leaf_to_json(leaf: ObservationLeaf | ActionPart) -> dict[str, Any]:
    """Describe how a leaf is encoded or decoded, as plain JSON.

    Infinite numbers, which JSON lacks, become ``"inf"`` and ``"-inf"``.
    """
    shape = {"shape": list(leaf.env_shape)}
    if isinstance(leaf, Image):
        size = {name: getattr(leaf, name) for name in ("height", "width", "channels", "dtype")}
        return {"kind": "image", **shape, "channels_first": leaf.channels_first, **size}
    if isinstance(leaf, Vector):
        return {"kind": "numbers", **shape}
    if isinstance(leaf, ContinuousAction):
        arrays = {
            name: [_INFINITE.get(x, x) for x in getattr(leaf, name).tolist()]
            for name in ("low", "high", "scaled")
        }
        return {"kind": "bounded", **shape, "dtype": leaf.low.dtype.name, **arrays}
    classes = {"classes": list(leaf.classes), "start": list(leaf.start)}
    return {"kind": "classes", **shape, "dtype": leaf.env_dtype, **classes}


def column_to_json(leaf: ObservationLeaf) -> dict[str, Any]:
    """Describe the column of an observation, the input of networks, as plain JSON."""
    seen = {x.name: getattr(leaf, x.name) for x in dataclasses.fields(leaf) if x.compare}
    return {name: list(x) if isinstance(x, tuple) else x for name, x in seen.items()}


def observed_leaf(array: Mapping[str, Any], column: Mapping[str, Any]) -> ObservationLeaf:
    """Build a leaf that :func:`leaf_to_json` and :func:`column_to_json` described."""
    env_shape = tuple(array["shape"])
    if array["kind"] == "image":
        return Image(**column, env_shape=env_shape, channels_first=array["channels_first"])
    if array["kind"] == "numbers":
        return Vector(**column, env_shape=env_shape)
    classes = {**column, "classes": tuple(column["classes"]), "start": tuple(array["start"])}
    return Categorical(**classes, env_shape=env_shape, env_dtype=array["dtype"])


def chosen_leaf(described: Mapping[str, Any]) -> ActionPart:
    """Build the part of an action that :func:`leaf_to_json` described."""
    env_shape, dtype = tuple(described["shape"]), described["dtype"]
    if described["kind"] == "classes":
        classes, start = tuple(described["classes"]), tuple(described["start"])
        return DiscreteActions(classes, start, env_shape, dtype)
    low, high = (
        np.array([float(x) if isinstance(x, str) else x for x in described[name]], dtype)
        for name in ("low", "high")
    )
    return ContinuousAction(len(low), low, high, np.array(described["scaled"], bool), env_shape)


def one_hot(classes: np.ndarray, n: int) -> np.ndarray:
    """``int [N]`` -> ``float32 [N, n]``."""
    return (classes[:, None] == np.arange(n)).astype(np.float32)


def choice_noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random numbers for N samples of a class: float32 ``[N, 1]`` in [0, 1)."""
    return rng.random((n, 1), np.float32)


def number_noise(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Random numbers for N samples of ``size`` numbers: standard normal, float32 ``[N, size]``."""
    return rng.standard_normal((n, size), np.float32)


def latent_noise(rng: np.random.Generator, n: int, categoricals: int) -> np.ndarray:
    """Random numbers for N samples of z: float32 ``[N, categoricals]`` in [0, 1)."""
    return rng.random((n, categoricals), np.float32)


def to_float32(value: np.ndarray) -> np.ndarray:
    """Cast to ``float32``, clipped to its range; not copied if it is ``float32`` already."""
    if value.dtype.itemsize > 4:
        limit = float(np.finfo(np.float32).max)
        value = np.clip(value.astype(np.float64), -limit, limit)
    return value.astype(np.float32, copy=False)


def into_bounds(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Cast floats ``[N, ...]`` to the dtype of the bounds, rounded if needed, and clip them."""
    value = value.astype(np.float64)
    if low.dtype.kind != "f":
        value = np.rint(value)
    # The bounds of 64-bit integers are not exact in float64, and casting them would wrap around:
    # only values strictly inside are cast. Rounding to a narrow float may still exceed the bounds.
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
