"""How each kind of leaf is stored as an observation and encoded as an action.

A leaf is a space that is no Dict and no Tuple; ``nesting.py`` walks through those, ``images.py``
reads the boxes that are images, and ``codecs.py`` puts all together. Arrays ``[N, ...]`` are those
of N environments.
"""

import functools
import logging
from dataclasses import dataclass
from typing import NoReturn

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import EnvironmentDataError, SpaceError
from rllib_dreamerv3.records import OBS_PREFIX
from rllib_dreamerv3.spaces.layout import (
    ActionLeaf,
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Vector,
)

MAX_CLASSES = 2**16
"""More classes than this in one component are refused: they would be one-hot encoded."""

_ADVICE = {
    spaces.Graph: "Put the graph into Boxes of fixed shape with a wrapper.",
    spaces.Text: "Encode the text as a Box or MultiDiscrete of fixed length with a wrapper.",
    spaces.Sequence: "Pad the sequence to a Box of fixed length with a wrapper.",
    spaces.OneOf: "Use a Dict of all alternatives, with a Discrete that says which one holds.",
}

logger = logging.getLogger(__name__)


@functools.cache
def warn_once(message: str) -> None:
    """Warns once in a process, where networks and environments all read the same spaces."""
    logger.warning(message)


def check_leaf(space: gym.Space, where: str) -> None:
    """Raises SpaceError for a leaf that neither codec can handle."""

    def refuse(reason: str, advice: str) -> NoReturn:
        raise SpaceError(f"Cannot use {where}: {reason}. {advice}")

    if isinstance(space, spaces.Box):
        if 0 in space.shape:
            refuse(f"a Box of shape {space.shape} holds no values", "Remove it from the space.")
        if len(space.shape) > 3:
            refuse(
                f"a Box of {len(space.shape)} dimensions is neither a vector nor an image",
                "Reshape it to 3 or fewer dimensions with gymnasium.wrappers.ReshapeObservation "
                "or a wrapper of your own; stacked frames go into the channel axis.",
            )
    elif isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        classes = components(space).classes
        if not classes:
            refuse(f"{space} holds no values", "Remove it from the space.")
        if max(classes) > MAX_CLASSES:
            refuse(
                f"{max(classes)} classes are too many to be one-hot (at most {MAX_CLASSES})",
                "Use a Box, or split the number into several digits of a MultiDiscrete.",
            )
    else:
        advice = next(
            (text for kind, text in _ADVICE.items() if isinstance(space, kind)),
            "Turn it into Box, Discrete, MultiDiscrete, MultiBinary, Dict or Tuple in a wrapper.",
        )
        refuse(f"{type(space).__name__} spaces are not supported", advice)


@dataclass(frozen=True)
class Components:
    """What Discrete, MultiDiscrete and MultiBinary have in common.

    Attributes:
        classes: Number of classes of each component, flattened to ``[M]``.
        start: First class of each component ``[M]``.
        shape: Shape of a single value in the environment.
        dtype: Dtype of a value in the environment.
    """

    classes: tuple[int, ...]
    start: np.ndarray
    shape: tuple[int, ...]
    dtype: np.dtype

    def from_env(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` of the environment -> classes from 0 on, ``int64 [N, M]``."""
        return value.reshape(len(value), -1).astype(np.int64) - self.start

    def to_env(self, classes: np.ndarray) -> np.ndarray:
        """Classes from 0 on ``[N, M]`` -> ``[N, *shape]`` of the environment."""
        value = classes.astype(np.int64) + self.start
        return value.astype(self.dtype).reshape(len(classes), *self.shape)


def components(space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) -> Components:
    """Reads a space of classes."""
    if isinstance(space, spaces.Discrete):
        nvec, start = np.array([space.n]), np.array([space.start])
    elif isinstance(space, spaces.MultiDiscrete):
        nvec, start = space.nvec.reshape(-1), space.start.reshape(-1)
    else:
        nvec = np.full(int(np.prod(space.shape)), 2)
        start = np.zeros_like(nvec)
    return Components(
        tuple(int(n) for n in nvec), start.astype(np.int64), space.shape, np.dtype(space.dtype)
    )


def one_hot(classes: np.ndarray, n: int) -> np.ndarray:
    """``int [N]`` -> ``float32 [N, n]``."""
    return (classes[:, None] == np.arange(n)).astype(np.float32)


def into_box(value: np.ndarray, space: spaces.Box) -> np.ndarray:
    """Casts ``float [N, *shape]`` to the dtype of the box, rounded if needed, inside the bounds."""
    value = value.astype(np.float64)
    if space.dtype.kind != "f":
        value = np.rint(value)
    # The bounds of 64-bit integers are no float64 values: casting those would wrap around, hence
    # only what is strictly inside is cast. Rounding to a narrow float may still leave the box.
    inside = (value > space.low.astype(np.float64)) & (value < space.high.astype(np.float64))
    edge = np.where(value <= space.low.astype(np.float64), space.low, space.high)
    cast = np.where(inside, value, 0.0).astype(space.dtype)
    return np.clip(np.where(inside, cast, edge), space.low, space.high).astype(space.dtype)


def to_float32(value: np.ndarray) -> np.ndarray:
    """Casts to ``float32``, clipped to its range; not copied if it is ``float32`` already."""
    if value.dtype.itemsize > 4:
        limit = float(np.finfo(np.float32).max)
        value = np.clip(value.astype(np.float64), -limit, limit)
    return value.astype(np.float32, copy=False)


def check_finite(value: np.ndarray, key: str) -> None:
    """Raises EnvironmentDataError for NaN and infinity in ``[N, ...]``; names the environment."""
    if value.dtype.kind != "f" or np.isfinite(value).all():
        return
    env = int(np.argwhere(~np.isfinite(value))[0][0])
    kind = "NaN" if np.isnan(value[env]).any() else "infinity"
    raise EnvironmentDataError(
        f"Environment {env} returned {kind} in {key!r}. One such value would spoil the replay "
        f"buffer and the networks: correct the environment, or replace such values in a wrapper."
    )


@dataclass(frozen=True)
class ClassObservation:
    """Classes of an observation, stored from 0 on: a column ``int32 [N, M]``."""

    leaf: Categorical
    components: Components

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column; EnvironmentDataError for a class that does not exist."""
        classes = self.components.from_env(value)
        wrong = (classes < 0) | (classes >= np.array(self.components.classes))
        if wrong.any():
            env, component = np.argwhere(wrong)[0]
            raise EnvironmentDataError(
                f"Environment {env} returned the value {value.reshape(len(value), -1)[wrong][0]} "
                f"in component {component} of {self.leaf.key!r}, which its observation space does "
                f"not contain. Correct the environment or its observation space."
            )
        return classes.astype(self.leaf.dtype)

    def decode(self, column: np.ndarray) -> np.ndarray:
        """Column -> ``[N, *shape]``."""
        return self.components.to_env(column)


@dataclass(frozen=True)
class VectorObservation:
    """Numbers of an observation, flattened: a column ``float32 [N, size]``."""

    leaf: Vector
    space: spaces.Box

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column; EnvironmentDataError for NaN and infinity."""
        check_finite(value, self.leaf.key)
        return to_float32(value).reshape(len(value), self.leaf.size)

    def decode(self, column: np.ndarray) -> np.ndarray:
        """Column -> ``[N, *shape]`` inside the box."""
        return into_box(column.reshape(len(column), *self.space.shape), self.space)


def class_observation(
    space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary, path: str
) -> ClassObservation:
    """The codec of classes that :func:`check_leaf` let pass."""
    found = components(space)
    return ClassObservation(Categorical(OBS_PREFIX + (path or "state"), found.classes), found)


def vector_observation(space: spaces.Box, path: str) -> VectorObservation:
    """The codec of a box that is no image."""
    size = int(np.prod(space.shape))
    return VectorObservation(Vector(OBS_PREFIX + (path or "vector"), size), space)


@dataclass(frozen=True)
class ClassAction:
    """Classes of an action: one one-hot part of the action vector for each component."""

    components: Components

    @property
    def leaves(self) -> tuple[ActionLeaf, ...]:
        """Parts of the action vector."""
        return tuple(DiscreteAction(n) for n in self.components.classes)

    def decode(self, actions: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, width]`` -> ``[N, *shape]``."""
        ends = np.cumsum(self.components.classes)[:-1]
        classes = [part.argmax(axis=-1) for part in np.split(actions, ends, axis=-1)]
        return self.components.to_env(np.stack(classes, axis=-1))

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> its part of the action vectors ``float32 [N, width]``."""
        classes = self.components.from_env(value)
        parts = [one_hot(classes[:, i], n) for i, n in enumerate(self.components.classes)]
        return np.concatenate(parts, axis=-1)


class BoxAction:
    """Numbers of an action, all clipped to [-1, 1] first, as the authors do (2023 and 2025 code).

    Those bounded on both sides are then scaled to their bounds; others stay as they are, up to the
    one bound they may have. Without ``normalize`` all stay as they are, with ``clip`` up to the
    bounds. The world model sees the clipped numbers too.
    """

    def __init__(self, space: spaces.Box, *, normalize: bool = True, clip: bool = False) -> None:
        self.space = space
        # The dtype has limits in any case: casting what is beyond would wrap around.
        self._limits = space if normalize or clip else _without_bounds(space)
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        with np.errstate(over="ignore"):
            span = high - low
        self._scaled = space.bounded_below & space.bounded_above & np.isfinite(span) & normalize
        # For elements that are not scaled these are placeholders, which keep the arithmetic finite.
        self._low = np.where(self._scaled, low, -1.0)
        self._span = np.where(self._scaled, span, 2.0)
        self.leaves: tuple[ActionLeaf, ...] = (ContinuousAction(int(np.prod(space.shape))),)
        if normalize and not self._scaled.all():
            warn_once(
                f"The actions {space} have elements without two finite bounds. They get numbers "
                f"from -1 to 1, as far as the one bound they may have allows, and nothing beyond. "
                f"If the environment needs others, give the Box finite bounds: the policy's -1 to "
                f"1 then stands for the whole range between them."
            )

    def decode(self, actions: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, size]`` -> ``[N, *shape]``."""
        value = np.clip(actions.astype(np.float64), -1.0, 1.0)
        value = value.reshape(len(actions), *self.space.shape)
        scaled = (value + 1.0) / 2.0 * self._span + self._low
        return into_box(np.where(self._scaled, scaled, value), self._limits)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> its part of the action vectors ``float32 [N, size]``."""
        value = value.astype(np.float64)
        span = np.where(self._span > 0.0, self._span, 1.0)
        unit = np.clip(2.0 * (value - self._low) / span - 1.0, -1.0, 1.0)
        unit = np.where(self._span > 0.0, unit, 0.0)
        raw = np.clip(value, -1.0, 1.0)
        return np.where(self._scaled, unit, raw).reshape(len(value), -1).astype(np.float32)


def _without_bounds(space: spaces.Box) -> spaces.Box:
    """The box of all that its dtype can hold."""
    dtype = np.dtype(space.dtype)
    if dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, space.shape, dtype.type)
    info = np.iinfo(dtype)
    return spaces.Box(info.min, info.max, space.shape, dtype.type)


def action_leaf(space: gym.Space, *, normalize: bool, clip: bool) -> BoxAction | ClassAction:
    """The codec of one leaf that :func:`check_leaf` let pass; see :class:`BoxAction`."""
    if isinstance(space, spaces.Box):
        return BoxAction(space, normalize=normalize, clip=clip)
    return ClassAction(components(space))
