"""Compares the values that an environment returns with Gymnasium's interface and its spaces."""

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

FIVE_VALUES = "observation, reward, terminated, truncated, info"


def wrong_reset(returned: Any) -> str | None:
    """Describe what is wrong with the result of ``reset()``, without its values; None if valid."""
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping):
        return None
    return (
        f"reset() must return two values, the observation and a dict of info, not {_form(returned)}"
    )


def wrong_step(returned: Any) -> str | None:
    """Describe what is wrong with the result of ``step()``, without its values; None if valid."""
    if isinstance(returned, tuple) and len(returned) == 5:
        return None
    return f"step() must return five values ({FIVE_VALUES}), not {_form(returned)}"


def wrong_outcome(reward: Any, terminated: Any, truncated: Any, info: Any) -> Iterator[str]:
    """Describe what is wrong with the values of ``step()`` other than the observation."""
    if not isinstance(reward, Real | np.number | np.bool_):
        yield f"the reward must be a number, not {_form(reward)}"
    elif not np.isfinite(float(reward)):
        yield f"the reward was {reward}, which would make training diverge"
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(flag, bool | np.bool_):
            yield f"{name} must be True or False, not {_form(flag)}"
    if not isinstance(info, Mapping):
        yield f"info must be a dict, not {_form(info)}"
    else:
        yield from wrong_info(info)


def wrong_info(info: Mapping[Any, Any]) -> Iterator[str]:
    """Describe what Gymnasium's vector environments do not support in an info."""
    for key in info:
        if not isinstance(key, str):
            yield f"the keys of info must be strings, not {key!r}"


def wrong_value(space: gym.Space, value: Any, path: str = "") -> Iterator[str]:
    """Describe differences between an observation and its space.

    Args:
        space: The declared space.
        value: The returned value.
        path: Path within the observation.

    Yields:
        A sentence for each part with another nesting, shape, type or class. Bounds are not checked.
    """
    where = f"the observation at {path!r}" if path else "the observation"
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping):
            yield f"{where} must be a dict with {_keys(space.spaces)}, not {_form(value)}"
            return
        missing = [key for key in space.spaces if key not in value]
        extra = [key for key in value if key not in space.spaces]
        if missing:
            yield f"{where} lacks {_keys(missing)}, which its space declares"
        if extra:
            yield f"{where} has {_keys(extra)}, which its space does not declare"
        for key, child in space.spaces.items():
            if key in value:
                yield from wrong_value(child, value[key], _below(path, key))
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            yield f"{where} must be a tuple of {len(space.spaces)}, not {_form(value)}"
            return
        for number, child in enumerate(space.spaces):
            yield from wrong_value(child, value[number], _below(path, number))
    else:
        yield from _wrong_leaf(space, value, where)


def _wrong_leaf(space: gym.Space, value: Any, where: str) -> Iterator[str]:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(value, dtype=object)
    if array.dtype.kind not in "biuf":
        yield f"{where} must be numbers of shape {space.shape}, not {_form(value)}"
    elif array.shape != space.shape:
        yield f"{where} has the shape {array.shape}; its space declares {space.shape}"
    elif isinstance(space, spaces.Box):
        # The conversion of Gymnasium's vector environments.
        if not np.can_cast(array.dtype, space.dtype, "same_kind"):
            yield (
                f"{where} has the dtype {array.dtype}; its space declares {space.dtype}: "
                f"{_conversion(space, array)}"
            )
        elif not np.isfinite(array).all():
            kind = "NaN" if np.isnan(array).any() else "infinity"
            yield f"{where} holds {kind}, which would make training diverge"
    elif array.dtype.kind == "f" or not space.contains(array.astype(space.dtype)):
        yield f"{where} was {value!r}, which {space} does not contain"


def _conversion(space: spaces.Box, array: np.ndarray) -> str:
    """Advise how to return the declared dtype, which a cast alone may not do."""
    declared = np.dtype(space.dtype)
    declare = f"declare its Box with the bounds of its values and dtype=np.{array.dtype}"
    if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1 < space.high.max():
        # A cast would turn almost all of them into 0.
        return (
            f"if its values are in [0, 1], scale them, ({space.high.max()} * values)"
            f".astype(np.{declared}), or {declare}"
        )
    if (array >= space.low).all() and (array <= space.high).all():
        rounding = ", which drops fractions" if array.dtype.kind == "f" else ""
        return f"convert it with .astype(np.{declared}){rounding}, or {declare}"
    return f"its values are outside the bounds of its space: {declare}"


def _below(path: str, key: Any) -> str:
    return f"{path}/{key}" if path else str(key)


def _keys(keys: Any) -> str:
    return (
        "the key " * (len(keys) == 1)
        + "the keys " * (len(keys) != 1)
        + ", ".join(repr(key) for key in keys)
    )


def _form(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if value is None or isinstance(value, int | float | str):
        return repr(value)
    return f"a {type(value).__name__}"
