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
from rllib_dreamerv3.portable.leaves import (
    Bounded,
    Classes,
    Numbers,
    into_bounds,
    not_finite,
)
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


def components(space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) -> Classes:
    """Reads a space of classes."""
    if isinstance(space, spaces.Discrete):
        nvec, start = np.array([space.n]), np.array([space.start])
    elif isinstance(space, spaces.MultiDiscrete):
        nvec, start = space.nvec.reshape(-1), space.start.reshape(-1)
    else:
        nvec = np.full(int(np.prod(space.shape)), 2)
        start = np.zeros_like(nvec)
    return Classes(
        shape=space.shape,
        dtype=np.dtype(space.dtype).name,
        classes=tuple(int(n) for n in nvec),
        start=tuple(int(x) for x in start),
    )


def one_hot(classes: np.ndarray, n: int) -> np.ndarray:
    """``int [N]`` -> ``float32 [N, n]``."""
    return (classes[:, None] == np.arange(n)).astype(np.float32)


def into_box(value: np.ndarray, space: spaces.Box) -> np.ndarray:
    """Casts ``float [N, *shape]`` to the dtype of the box, rounded if needed, inside the bounds."""
    return into_bounds(value, space.low, space.high)


def check_finite(value: np.ndarray, key: str) -> None:
    """Raises EnvironmentDataError for NaN and infinity in ``[N, ...]``; names the environment."""
    found = not_finite(value)
    if found is not None:
        env, kind = found
        raise EnvironmentDataError(
            f"Environment {env} returned {kind} in {key!r}. One such value would spoil the replay "
            f"buffer and the networks: correct the environment, or replace such values in a "
            f"wrapper."
        )


@dataclass(frozen=True)
class ClassObservation:
    """Classes of an observation, stored from 0 on: a column ``int32 [N, M]``."""

    leaf: Categorical
    arrays: Classes

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column; EnvironmentDataError for a class that does not exist."""
        unknown = self.arrays.unknown(self.arrays.from_env(value))
        if unknown is not None:
            env, component = unknown
            raise EnvironmentDataError(
                f"Environment {env} returned the value {value.reshape(len(value), -1)[unknown]} "
                f"in component {component} of {self.leaf.key!r}, which its observation space does "
                f"not contain. Correct the environment or its observation space."
            )
        return self.arrays.encode(value)

    def decode(self, column: np.ndarray) -> np.ndarray:
        """Column -> ``[N, *shape]``."""
        return self.arrays.to_env(column)


@dataclass(frozen=True)
class VectorObservation:
    """Numbers of an observation, flattened: a column ``float32 [N, size]``."""

    leaf: Vector
    space: spaces.Box

    @property
    def arrays(self) -> Numbers:
        """What happens to the arrays."""
        return Numbers(self.space.shape)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> column; EnvironmentDataError for NaN and infinity."""
        check_finite(value, self.leaf.key)
        return self.arrays.encode(value)

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

    arrays: Classes

    @property
    def leaves(self) -> tuple[ActionLeaf, ...]:
        """Parts of the action vector."""
        return tuple(DiscreteAction(n) for n in self.arrays.classes)

    def decode(self, actions: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, width]`` -> ``[N, *shape]``."""
        return self.arrays.decode(actions)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> its part of the action vectors ``float32 [N, width]``."""
        classes = self.arrays.from_env(value)
        parts = [one_hot(classes[:, i], n) for i, n in enumerate(self.arrays.classes)]
        return np.concatenate(parts, axis=-1)


class BoxAction:
    """Numbers of an action, all clipped to [-1, 1] first, as the authors do (2023 and 2025 code).

    Those bounded on both sides are then scaled to their bounds; others stay as they are, up to the
    one bound they may have. Without ``normalize`` all stay as they are, with ``clip`` up to the
    bounds. The world model sees the clipped numbers too.
    """

    def __init__(self, space: spaces.Box, *, normalize: bool = True, clip: bool = False) -> None:
        # The dtype has limits in any case: casting what is beyond would wrap around.
        limits = space if normalize or clip else _without_bounds(space)
        with np.errstate(over="ignore"):
            span = space.high.astype(np.float64) - space.low.astype(np.float64)
        scaled = space.bounded_below & space.bounded_above & np.isfinite(span) & normalize
        self.arrays = Bounded(
            shape=space.shape,
            dtype=np.dtype(space.dtype).name,
            low=limits.low.reshape(-1),
            high=limits.high.reshape(-1),
            scaled=scaled.reshape(-1),
        )
        self.leaves: tuple[ActionLeaf, ...] = (ContinuousAction(int(np.prod(space.shape))),)
        if normalize and not scaled.all():
            warn_once(
                f"The actions {space} have elements without two finite bounds. They get numbers "
                f"from -1 to 1, as far as the one bound they may have allows, and nothing beyond. "
                f"If the environment needs others, give the Box finite bounds: the policy's -1 to "
                f"1 then stands for the whole range between them."
            )

    def decode(self, actions: np.ndarray) -> np.ndarray:
        """Its part of the action vectors ``[N, size]`` -> ``[N, *shape]``."""
        return self.arrays.decode(actions)

    def encode(self, value: np.ndarray) -> np.ndarray:
        """``[N, *shape]`` -> its part of the action vectors ``float32 [N, size]``."""
        value = value.reshape(len(value), -1).astype(np.float64)
        low, width = self.arrays.lowest_and_span
        span = np.where(width > 0.0, width, 1.0)
        unit = np.clip(2.0 * (value - low) / span - 1.0, -1.0, 1.0)
        unit = np.where(width > 0.0, unit, 0.0)
        raw = np.clip(value, -1.0, 1.0)
        return np.where(self.arrays.scaled, unit, raw).astype(np.float32)


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
