"""Gymnasium spaces as plain JSON, so that a policy is understood without its environment.

Every space is an object with a ``type``; what else it has depends on that:

===================  ==============================================================================
type                 other keys
===================  ==============================================================================
``Box``              ``shape``, ``dtype``, ``low``, ``high``
``Discrete``         ``n``, ``start``, ``dtype``
``MultiDiscrete``    ``shape``, ``nvec``, ``start``, ``dtype``
``MultiBinary``      ``n``: a number, or a list with the shape
``Dict``             ``spaces``: pairs of key and space, in the order of the space
``Tuple``            ``spaces``: spaces
===================  ==============================================================================

``low``, ``high``, ``nvec`` and ``start`` are one number where all elements have the same, else a
flat list in C order. Infinite bounds are ``"inf"`` and ``"-inf"``, for which JSON has no number.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.spaces.nesting import children, place

_KINDS = "Box, Discrete, MultiDiscrete, MultiBinary, Dict and Tuple"
# Far more than any observation has; more could fill the memory before anything else is known.
_MAX_ELEMENTS = 2**27
_INFINITE = {"inf": math.inf, "-inf": -math.inf}


def space_to_json(space: gym.Space) -> dict[str, Any]:
    """Describe a space in plain JSON.

    Args:
        space: Any nesting of the kinds above; keys of a Dict are texts or whole numbers.

    Returns:
        What :func:`space_from_json` takes. Its size does not depend on that of a Box whose
        elements all have the same bounds.

    Raises:
        SpaceError: If a part is of another kind; names the part.
    """
    return _to_json(space, ())


def space_from_json(content: Any) -> gym.Space:
    """Build the space that was described.

    Args:
        content: Result of :func:`space_to_json`; may be untrusted, no code from it is executed.

    Returns:
        A space that equals the one described.

    Raises:
        SpaceError: If it does not describe a space; says where and what is wrong.
    """
    try:
        return _from_json(content, ())
    except RecursionError:
        raise SpaceError("The space is nested too deeply.") from None


def _to_json(space: gym.Space, path: tuple[Any, ...]) -> dict[str, Any]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = [(key, _to_json(child, (*path, key))) for key, child in children(space)]
        if isinstance(space, spaces.Tuple):
            return {"type": "Tuple", "spaces": [child for _, child in inner]}
        for key, _ in inner:
            if type(key) not in (str, int):
                raise SpaceError(
                    f"The key {key!r} of {place('space', path)} cannot be written as JSON. Use "
                    "texts as keys."
                )
        return {"type": "Dict", "spaces": [list(pair) for pair in inner]}
    if isinstance(space, spaces.Box):
        bounds = {"low": _numbers(space.low), "high": _numbers(space.high)}
        return {"type": "Box", **_shape(space), "dtype": np.dtype(space.dtype).name, **bounds}
    if isinstance(space, spaces.MultiDiscrete):
        numbers = {"nvec": _numbers(space.nvec), "start": _numbers(space.start)}
        dtype = np.dtype(space.dtype).name
        return {"type": "MultiDiscrete", **_shape(space), **numbers, "dtype": dtype}
    if isinstance(space, spaces.Discrete):
        numbers = {"n": int(space.n), "start": int(space.start)}
        return {"type": "Discrete", **numbers, "dtype": np.dtype(space.dtype).name}
    if isinstance(space, spaces.MultiBinary):
        n = [int(x) for x in space.n] if isinstance(space.n, tuple) else int(space.n)
        return {"type": "MultiBinary", "n": n}
    raise SpaceError(
        f"Cannot describe {place('space', path)}, a {type(space).__name__}, as JSON: only {_KINDS} "
        "can be."
    )


def _shape(space: gym.Space) -> dict[str, list[int]]:
    return {"shape": [int(side) for side in space.shape or ()]}


def _numbers(array: np.ndarray) -> Any:
    """All elements, or the one number that all of them are."""
    flat = [_number(x) for x in np.asarray(array).reshape(-1).tolist()]
    return flat[0] if flat and all(x == flat[0] for x in flat) else flat


def _number(x: Any) -> Any:
    return str(x) if isinstance(x, float) and math.isinf(x) else x


def _from_json(content: Any, path: tuple[Any, ...]) -> gym.Space:
    where = place("space", path)
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise SpaceError(f"{where} is not described: it must be an object with a type.")
    kind = content["type"]
    try:
        if kind == "Tuple":
            inner = list(enumerate(content["spaces"]))
            return spaces.Tuple([_from_json(child, (*path, i)) for i, child in inner])
        if kind == "Dict":
            pairs = [(key, _from_json(child, (*path, key))) for key, child in content["spaces"]]
            return spaces.Dict(pairs)
        if kind in _LEAVES:
            return _LEAVES[kind](content)
    except SpaceError:
        raise
    except KeyError as error:
        raise SpaceError(f"{where}, a {kind}, lacks {error}.") from error
    except (TypeError, ValueError, AttributeError, AssertionError, OverflowError) as error:
        raise SpaceError(f"{where}, a {kind}, is described incorrectly: {error}") from error
    raise SpaceError(f"{where} is of the unknown type {kind!r}: only {_KINDS} can be described.")


def _box(content: dict[str, Any]) -> spaces.Box:
    shape, dtype = _sides(content["shape"]), _dtype(content, "biuf")
    low, high = (_array(content[name], shape, dtype) for name in ("low", "high"))
    return spaces.Box(low, high, shape, dtype.type)


def _discrete(content: dict[str, Any]) -> spaces.Discrete:
    n, start = (operator.index(content[name]) for name in ("n", "start"))
    return spaces.Discrete(n, start=start, dtype=_dtype(content, "iu").type)


def _multi_discrete(content: dict[str, Any]) -> spaces.MultiDiscrete:
    shape, dtype = _sides(content["shape"]), _dtype(content, "iu")
    nvec, start = (_array(content[name], shape, dtype) for name in ("nvec", "start"))
    return spaces.MultiDiscrete(nvec, dtype=dtype.type, start=start)


def _multi_binary(content: dict[str, Any]) -> spaces.MultiBinary:
    n = content["n"]
    return spaces.MultiBinary(_sides(n) if isinstance(n, list) else _sides([n])[0])


_LEAVES: dict[str, Callable[[dict[str, Any]], gym.Space]] = {
    "Box": _box,
    "Discrete": _discrete,
    "MultiDiscrete": _multi_discrete,
    "MultiBinary": _multi_binary,
}


def _sides(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(x) is int and x >= 0 for x in shape):
        raise ValueError(f"its shape {shape!r} is no list of sides.")
    if math.prod(shape) > _MAX_ELEMENTS:
        raise ValueError(f"its shape {shape!r} has more than {_MAX_ELEMENTS:,} elements.")
    return tuple(shape)


def _dtype(content: dict[str, Any], kinds: str) -> np.dtype:
    dtype = np.dtype(str(content["dtype"]))
    if dtype.kind not in kinds:
        raise ValueError(f"it cannot have the dtype {dtype}.")
    return dtype


def _array(numbers: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if isinstance(numbers, list):
        return np.array([_value(x) for x in numbers], dtype).reshape(shape)
    return np.full(shape, _value(numbers), dtype)


def _value(x: Any) -> Any:
    if isinstance(x, str):
        if x not in _INFINITE:
            raise ValueError(f"{x!r} is neither a number nor {' or '.join(map(repr, _INFINITE))}.")
        return _INFINITE[x]
    if not isinstance(x, int | float):
        raise TypeError(f"{x!r} stands where a number belongs.")
    return x
