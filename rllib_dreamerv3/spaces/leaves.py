"""Reads the leaves of spaces: how each is stored as an observation, or encoded as an action.

A leaf is any space except Dict and Tuple, which ``nesting.py`` walks through. ``images.py`` reads
the boxes that are images, and ``codecs.py`` combines all leaves. Arrays ``[N, ...]`` are those of N
environments.
"""

import functools
import logging
from typing import NoReturn

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import EnvironmentDataError, SpaceError
from rllib_dreamerv3.portable.leaves import (
    ActionPart,
    Categorical,
    ContinuousAction,
    DiscreteActions,
    Image,
    ObservationLeaf,
    Vector,
    not_finite,
)
from rllib_dreamerv3.records import OBS_PREFIX

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
    """Warn once in a process, where networks and environments all read the same spaces."""
    logger.warning(message)


def check_leaf(space: gym.Space, where: str) -> None:
    """Raise SpaceError for a leaf that neither codec can handle."""

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
        classes, _ = class_numbers(space)
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


def class_numbers(
    space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Number of classes of each component, flattened to ``[M]``, and the first class of each."""
    if isinstance(space, spaces.Discrete):
        nvec, start = np.array([space.n]), np.array([space.start])
    elif isinstance(space, spaces.MultiDiscrete):
        nvec, start = space.nvec.reshape(-1), space.start.reshape(-1)
    else:
        nvec = np.full(int(np.prod(space.shape)), 2)
        start = np.zeros_like(nvec)
    return tuple(int(n) for n in nvec), tuple(int(x) for x in start)


def check_observed(leaf: ObservationLeaf, value: np.ndarray) -> None:
    """Check what environments returned for a part of the observation, ``[N, *env_shape]``.

    Raises:
        EnvironmentDataError: For NaN, infinity, a class that does not exist, and for invalid
            pixels; names the environment.
    """
    if isinstance(leaf, Categorical):
        unknown = leaf.unknown(value)
        if unknown is not None:
            env, component = unknown
            raise EnvironmentDataError(
                f"Environment {env} returned the value {value.reshape(len(value), -1)[unknown]} "
                f"in component {component} of {leaf.key!r}, which its observation space does "
                f"not contain. Correct the environment or its observation space."
            )
        return
    found = not_finite(value)
    if found is not None:
        env, kind = found
        raise EnvironmentDataError(
            f"Environment {env} returned {kind} in {leaf.key!r}. One such value would make "
            f"training diverge: correct the environment, or replace such values in a wrapper."
        )
    unfit = leaf.unfit(value) if isinstance(leaf, Image) else None
    if unfit is not None:
        raise EnvironmentDataError(f"An environment returned {unfit}, in {leaf.key!r}.")


def categorical_of(
    space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary, path: str
) -> Categorical:
    """The leaf of classes that :func:`check_leaf` let pass."""
    classes, start = class_numbers(space)
    return Categorical(
        OBS_PREFIX + (path or "state"),
        classes,
        start=start,
        env_shape=space.shape,
        env_dtype=np.dtype(space.dtype).name,
    )


def vector_of(space: spaces.Box, path: str) -> Vector:
    """The leaf of a box that is no image."""
    size = int(np.prod(space.shape))
    return Vector(OBS_PREFIX + (path or "vector"), size, env_shape=space.shape)


def action_part(space: gym.Space, *, normalize: bool, clip: bool) -> ActionPart:
    """The part of an action that is a leaf which :func:`check_leaf` let pass.

    Numbers of a Box that are bounded on both sides are scaled to their bounds; others stay as they
    are, up to the one bound they may have.

    Args:
        space: The leaf.
        normalize: False to leave all numbers as they are.
        clip: Whether these are kept within the bounds.
    """
    if not isinstance(space, spaces.Box):
        return DiscreteActions(*class_numbers(space), space.shape, np.dtype(space.dtype).name)
    # The dtype has limits in any case: casting what is beyond would wrap around.
    limits = space if normalize or clip else _without_bounds(space)
    with np.errstate(over="ignore"):
        span = space.high.astype(np.float64) - space.low.astype(np.float64)
    scaled = space.bounded_below & space.bounded_above & np.isfinite(span) & normalize
    if normalize and not scaled.all():
        warn_once(
            f"The actions {space} have elements without two finite bounds. They get numbers "
            f"from -1 to 1, as far as the one bound they may have allows, and nothing beyond. "
            f"If the environment needs others, give the Box finite bounds: the policy's -1 to "
            f"1 then stands for the whole range between them."
        )
    low, high, scaled = (x.reshape(-1) for x in (limits.low, limits.high, scaled))
    return ContinuousAction(len(low), low, high, scaled, space.shape)


def _without_bounds(space: spaces.Box) -> spaces.Box:
    """The box of all that its dtype can hold."""
    dtype = np.dtype(space.dtype)
    if dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, space.shape, dtype.type)
    info = np.iinfo(dtype)
    return spaces.Box(info.min, info.max, space.shape, dtype.type)
