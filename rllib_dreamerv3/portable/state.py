"""Recurrent state of a policy."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .leaves import not_finite


class State(NamedTuple):
    """Recurrent state in N environments.

    Attributes:
        h: float32 ``[N, D]``.
        index: int32 ``[N, S]``.
        action: float32 ``[N, A]``, the last action vector.
    """

    h: np.ndarray
    index: np.ndarray  # type: ignore[assignment]  # also a method of tuples
    action: np.ndarray


_DTYPES = {"h": np.float32, "index": np.int32, "action": np.float32}


def checked_state(given: Any, sizes: Mapping[str, int]) -> State:
    """Validate a user-supplied state.

    Args:
        given: A :class:`State`, or a tuple or mapping with the same three parts.
        sizes: D, S and A, by the names of the parts.

    Returns:
        The state with the right dtypes; arrays that have them are not copied.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a part is missing, has the wrong shape, or is not finite.
    """
    if isinstance(given, tuple) and len(given) == len(_DTYPES):
        given = dict(zip(_DTYPES, given, strict=True))
    if not isinstance(given, Mapping):
        raise TypeError(
            f"A policy's state must be None or an earlier policy.state (with the parts "
            f"{', '.join(_DTYPES)}), not {given!r:.80}."
        )
    missing = [name for name in _DTYPES if name not in given]
    if missing:
        raise ValueError(f"The state has no {missing[0]!r}; its parts are {', '.join(_DTYPES)}.")
    state = State(**{name: _part(name, given[name], x) for name, x in _DTYPES.items()})
    found = [part.shape for part in state]
    environments = state.h.shape[0] if state.h.ndim else 0
    wanted = [(environments, sizes[name]) for name in _DTYPES]
    if found != wanted or not environments:
        raise ValueError(
            f"The state's {', '.join(_DTYPES)} have the shapes {', '.join(map(str, found))} "
            f"instead of {', '.join(f'(N, {sizes[name]})' for name in _DTYPES)} for N environments."
        )
    return state


def _part(name: str, given: Any, dtype: Any) -> np.ndarray:
    try:
        array = np.asarray(given, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name!r} of the state is not numeric: {error}.") from error
    if array.ndim and not_finite(array) is not None:
        raise ValueError(f"{name!r} of the state contains NaN or infinity.")
    return array
