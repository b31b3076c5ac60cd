"""Compares what an environment returns with what Gymnasium and its spaces promise."""

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

FIVE_VALUES = "observation, reward, terminated, truncated, info"


def wrong_reset(returned: Any) -> str | None:
    """What is wrong with the form of what ``reset()`` returned; None: nothing."""
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping):
        return None
    return (
        f"reset() has to return two values, the observation and a dict of info, and returned "
        f"{_form(returned)}"
    )


def wrong_step(returned: Any) -> str | None:
    """What is wrong with the form of what ``step()`` returned; None: nothing."""
    if isinstance(returned, tuple) and len(returned) == 5:
        return None
    return f"step() has to return five values ({FIVE_VALUES}), and returned {_form(returned)}"


def wrong_outcome(reward: Any, terminated: Any, truncated: Any, info: Any) -> Iterator[str]:
    """What is wrong with all that ``step()`` returned beside the observation."""
    if not isinstance(reward, Real | np.number | np.bool_):
        yield f"the reward has to be a number, and was {_form(reward)}"
    elif not np.isfinite(float(reward)):
        yield f"the reward was {reward}, which would spoil the networks"
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(flag, bool | np.bool_):
            yield f"{name} has to be True or False, and was {_form(flag)}"
    if not isinstance(info, Mapping):
        yield f"info has to be a dict, and was {_form(info)}"
    else:
        yield from wrong_info(info)


def wrong_info(info: Mapping[Any, Any]) -> Iterator[str]:
    """What keeps Gymnasium's vector environments from handing on an info."""
    for key in info:
        if not isinstance(key, str):
            yield f"the keys of info have to be strings, and one was {key!r}"


def wrong_value(space: gym.Space, value: Any, path: str = "") -> Iterator[str]:
    """What keeps a value from being stored as an observation of a space.

    Args:
        space: What the environment declares.
        value: What it returned.
        path: Where in the observation this is.

    Yields:
        A sentence for each part whose nesting, shape, type or class is another one. That numbers
        are inside their bounds is not checked here.
    """
    where = f"the observation at {path!r}" if path else "the observation"
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping):
            yield f"{where} has to be a dict with {_keys(space.spaces)}, and was {_form(value)}"
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
            yield f"{where} has to be a tuple of {len(space.spaces)}, and was {_form(value)}"
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
        yield f"{where} has to be numbers of shape {space.shape}, and was {_form(value)}"
    elif array.shape != space.shape:
        yield f"{where} has the shape {array.shape}; its space declares {space.shape}"
    elif isinstance(space, spaces.Box):
        # As Gymnasium's vector environments convert them.
        if not np.can_cast(array.dtype, space.dtype, "same_kind"):
            yield (
                f"{where} has the dtype {array.dtype}; its space declares {space.dtype}: convert "
                f"it with .astype(np.{space.dtype})"
            )
        elif not np.isfinite(array).all():
            kind = "NaN" if np.isnan(array).any() else "infinity"
            yield f"{where} holds {kind}, which would spoil the networks"
    elif array.dtype.kind == "f" or not space.contains(array.astype(space.dtype)):
        yield f"{where} was {value!r}, which {space} does not contain"


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
