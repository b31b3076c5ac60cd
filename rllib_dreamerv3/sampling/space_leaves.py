"""How each kind of Gymnasium space that is no Dict and no Tuple is stored, and acted in.

``[N, ...]`` are arrays of N environments. ``spaces.py`` puts the leaves of a nested space together.
"""

import logging
from dataclasses import dataclass
from typing import NoReturn

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import EnvironmentDataError, SpaceError
from rllib_dreamerv3.layout import (
    ActionLeaf,
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    Vector,
)
from rllib_dreamerv3.records import OBS_PREFIX

logger = logging.getLogger(__name__)

MAX_CLASSES = 2**16
"""More classes than this in one component are refused: they would be one-hot encoded."""

MIN_GRAY_SIDE = 8
"""A 2-d ``uint8`` box is an image from this many pixels a side on, else a vector."""

MAX_IMAGE_RANGE = 1e6
"""Wider image bounds than this are place-holders, not a scale."""

_ADVICE = {
    spaces.Graph: "Put the graph into Boxes of fixed shape with a wrapper.",
    spaces.Text: "Encode the text as a Box or MultiDiscrete of fixed length with a wrapper.",
    spaces.Sequence: "Pad the sequence to a Box of fixed length with a wrapper.",
    spaces.OneOf: "Use a Dict of all alternatives, with a Discrete that says which one holds.",
}


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
        classes = _components(space).classes
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


def _components(space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) -> Components:
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


def _into_box(value: np.ndarray, space: spaces.Box) -> np.ndarray:
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
class BoxObservation:
    """An image column ``[N, height, width, channels]`` or a vector column ``[N, size]``."""

    leaf: Image | Vector
    space: spaces.Box
    channels_first: bool = False

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column; EnvironmentDataError for NaN and infinity."""
        if value.dtype.kind == "f":
            self._check_finite(value)
        if self.channels_first:
            value = np.moveaxis(value, 1, -1)
        if self.leaf.dtype == "float32" and value.dtype.itemsize > 4:
            limit = float(np.finfo(np.float32).max)
            value = np.clip(value.astype(np.float64), -limit, limit)
        return value.reshape(len(value), *self.leaf.shape).astype(self.leaf.dtype, copy=False)

    def decode(self, column: np.ndarray) -> np.ndarray:
        """Column -> ``[N, *shape]`` inside the box."""
        if self.channels_first:
            column = np.moveaxis(column, -1, 1)
        return _into_box(column.reshape(len(column), *self.space.shape), self.space)

    def _check_finite(self, value: np.ndarray) -> None:
        finite = np.isfinite(value)
        if finite.all():
            return
        env = int(np.argwhere(~finite)[0][0])
        kind = "NaN" if np.isnan(value[env]).any() else "infinity"
        raise EnvironmentDataError(
            f"Environment {env} returned {kind} in {self.leaf.key!r}. One such value would spoil "
            f"the replay buffer and the networks: correct the environment, or replace such values "
            f"in a wrapper."
        )


def observation_leaf(space: gym.Space, path: str) -> BoxObservation | ClassObservation:
    """The codec of one leaf that :func:`check_leaf` let pass."""
    if not isinstance(space, spaces.Box):
        components = _components(space)
        return ClassObservation(
            Categorical(OBS_PREFIX + (path or "state"), components.classes), components
        )
    gray = (
        len(space.shape) == 2
        and space.dtype == np.uint8
        and min(space.shape) >= MIN_GRAY_SIDE
        and bool((space.low == 0).all() and (space.high == 255).all())
    )
    if len(space.shape) < 3 and not gray:
        size = int(np.prod(space.shape))
        return BoxObservation(Vector(OBS_PREFIX + (path or "vector"), size), space)
    key = OBS_PREFIX + (path or "image")
    low, high = _image_range(space, key)
    first = not gray and _channels_first(space.shape)
    shape = (*space.shape, 1) if gray else space.shape
    height, width, channels = (*shape[1:], shape[0]) if first else shape
    dtype = "uint8" if space.dtype in (np.uint8, np.bool_) else "float32"
    return BoxObservation(Image(key, height, width, channels, low, high, dtype), space, first)


def _channels_first(shape: tuple[int, ...]) -> bool:
    first, middle, last = shape
    if first <= 4 or last <= 4:
        return last > 4
    return 2 * first < min(middle, last)


def _image_range(space: spaces.Box, key: str) -> tuple[float, float]:
    """Values that become 0 and 1."""
    low, high = float(space.low.min()), float(space.high.max())
    if not space.is_bounded() or high - low > MAX_IMAGE_RANGE:
        logger.warning(
            "The image %r has no usable bounds (%s): its values are taken to be in [0, 1]. If they "
            "are not, give its Box finite bounds.",
            key,
            space,
        )
        return 0.0, 1.0
    return (low, high) if high > low else (low, low + 1.0)


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
    """Numbers of an action; those bounded on both sides are scaled from [-1, 1] to the bounds."""

    def __init__(self, space: spaces.Box) -> None:
        self.space = space
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        with np.errstate(over="ignore"):
            span = high - low
        self._scaled = space.bounded_below & space.bounded_above & np.isfinite(span)
        # Where an element is passed through these only keep the arithmetic finite.
        self._low = np.where(self._scaled, low, -1.0)
        self._span = np.where(self._scaled, span, 2.0)
        self.leaves: tuple[ActionLeaf, ...] = (ContinuousAction(int(np.prod(space.shape))),)

    def decode(self, actions: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, size]`` -> ``[N, *shape]`` inside the box."""
        value = actions.astype(np.float64).reshape(len(actions), *self.space.shape)
        scaled = (np.clip(value, -1.0, 1.0) + 1.0) / 2.0 * self._span + self._low
        return _into_box(np.where(self._scaled, scaled, value), self.space)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> its part of the action vectors ``float32 [N, size]``."""
        value = value.astype(np.float64)
        span = np.where(self._span > 0.0, self._span, 1.0)
        unit = np.clip(2.0 * (value - self._low) / span - 1.0, -1.0, 1.0)
        unit = np.where(self._span > 0.0, unit, 0.0)
        limit = float(np.finfo(np.float32).max)
        raw = np.clip(value, -limit, limit)
        return np.where(self._scaled, unit, raw).reshape(len(value), -1).astype(np.float32)


def action_leaf(space: gym.Space, path: str) -> BoxAction | ClassAction:
    """The codec of one leaf that :func:`check_leaf` let pass."""
    return BoxAction(space) if isinstance(space, spaces.Box) else ClassAction(_components(space))
