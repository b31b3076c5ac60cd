"""Walks through nested ``Dict`` and ``Tuple`` spaces and through values of the same nesting."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.spaces.leaves import check_leaf

Batch = Any
"""What a vector environment returns or takes for N environments: arrays ``[N, ...]``, nested in
dicts and tuples as the space nests."""


def children(space: spaces.Dict | spaces.Tuple) -> list[tuple[Any, gym.Space]]:
    """Keys (of a Dict) or positions (of a Tuple) and the spaces there.

    Keys that equal a text or a whole number, such as those of a ``str`` Enum or of NumPy, are
    replaced by it: checkpoints have no others.
    """
    if isinstance(space, spaces.Dict):
        return [(_plain(key), child) for key, child in space.spaces.items()]
    return list(enumerate(space.spaces))


def _plain(key: Any) -> Any:
    if isinstance(key, str):
        return str.__str__(key)
    return int(key) if isinstance(key, Integral) else key


def place(what: str, path: tuple[Any, ...], *, begins: bool = False) -> str:
    """Name a part of a space for errors, e.g. ``the action at 'arm/0'``.

    Args:
        what: What the space is called.
        path: Keys and positions of the part.
        begins: Whether the name begins a sentence.
    """
    article = "The" if begins else "the"
    return f"{article} {what} at {'/'.join(map(str, path))!r}" if path else f"{article} {what}"


def leaves(space: gym.Space, what: str) -> list[tuple[str, gym.Space]]:
    """Paths and spaces of all leaves, in the order of the space.

    Args:
        space: Any nesting of Dict and Tuple.
        what: What the space is called in errors.

    Returns:
        (path, space) of each leaf. The path of a space without nesting is empty.

    Raises:
        SpaceError: If a part of the space cannot be used; names the part.
    """
    for path, part in paths(space):
        for key in path:
            if type(key) not in (str, int) or not _is_unicode(str(key)):
                raise SpaceError(
                    f"Cannot use {place(what, path)}: the key {key!r} cannot be written to "
                    "checkpoints. Use texts (valid UTF-8) as keys."
                )
        if isinstance(part, spaces.Dict | spaces.Tuple):
            raise SpaceError(
                f"Cannot use {place(what, path)}: it is empty. Remove it from the space."
            )
        check_leaf(part, place(what, path))
    return [("/".join(map(str, path)), part) for path, part in paths(space)]


def _is_unicode(text: str) -> bool:
    """Whether files can have a text: it has no half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def paths(space: gym.Space) -> list[tuple[tuple[Any, ...], gym.Space]]:
    """Keys and positions that lead to each leaf, and the leaves, in the order of the space.

    A Dict or Tuple that is empty counts as a leaf.
    """

    def walk(part: gym.Space, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], gym.Space]]:
        if isinstance(part, spaces.Dict | spaces.Tuple) and part.spaces:
            for key, child in children(part):
                yield from walk(child, (*path, key))
        else:
            yield path, part

    return list(walk(space, ()))


def flatten(space: gym.Space, value: Batch) -> list[Any]:
    """Values of all leaves, in the order of :func:`leaves`."""
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return [value]
    return [leaf for key, child in children(space) for leaf in flatten(child, value[key])]


def unflatten(space: gym.Space, values: Iterator[Any]) -> Batch:
    """Inverse of :func:`flatten`; takes from ``values`` as many as the space has leaves."""
    if isinstance(space, spaces.Dict):
        return {key: unflatten(child, values) for key, child in children(space)}
    if isinstance(space, spaces.Tuple):
        return tuple(unflatten(child, values) for _, child in children(space))
    return next(values)
