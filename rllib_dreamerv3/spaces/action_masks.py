"""Action masks: which choices an environment allows at an observation.

An observation space that is a ``Dict`` with the key ``action_mask``, or whatever
``action_mask_key`` says, has one. The mask is no observation: it becomes the record column
``action_mask``, ``uint8 [N, M]``, with an entry for each choice of each discrete part of the action
space, in the order of the action vector; 1 is allowed.
``Discrete(n)`` has n entries, ``MultiDiscrete`` as many for each component as that has classes,
``MultiBinary`` two for each switch (off, on), ``Box`` none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import EnvironmentDataError, SpaceError
from rllib_dreamerv3.portable.leaves import first_where, flat_mask, into_bounds
from rllib_dreamerv3.records import ACTION_MASK
from rllib_dreamerv3.spaces.leaves import class_numbers
from rllib_dreamerv3.spaces.nesting import Batch, children, place

Path = tuple[Any, ...]


def split_action_mask(
    space: gym.Space, key: str = ACTION_MASK
) -> tuple[gym.Space, gym.Space | None]:
    """Splits an observation space into what is observed and the action mask, if it has one.

    Args:
        space: Of a single environment.
        key: Of the mask.

    Raises:
        SpaceError: If there is a mask and nothing else.
    """
    if not isinstance(space, spaces.Dict) or key not in space.spaces:
        return space, None
    observed = {name: child for name, child in space.spaces.items() if name != key}
    if not observed:
        raise SpaceError(
            f"The observation space holds nothing but {key!r}. The mask is not observed: "
            f"add something that is."
        )
    # Of a dict, Gymnasium would sort the keys.
    return spaces.Dict(list(observed.items())), space.spaces[key]


@dataclass(frozen=True)
class MaskLeaf:
    """A part of the mask space without nesting, and what its entries stand for."""

    path: Path
    space: gym.Space
    size: int


class ActionMask:
    """Turns the action masks of N environments into the column ``action_mask``, and back.

    The mask may be one array of M entries (of shape ``[*action.shape, n]`` too, where the action
    is not nested and all its components have n choices), or nest as the action space does: a
    ``Dict`` with the keys of all parts that have discrete choices, a ``Tuple`` with one item for
    each such part, and for ``MultiDiscrete`` and ``MultiBinary`` a ``Tuple`` with one for each
    component. Its arrays are ``MultiBinary``, ``Box`` from 0 to 1 of any dtype, or
    ``MultiDiscrete`` of twos.

    Attributes:
        leaves: Parts of the mask without nesting, in the order of the action vector.
        size: Number of entries M.
    """

    def __init__(self, space: gym.Space, action_space: gym.Space, key: str = ACTION_MASK) -> None:
        """Read both spaces.

        Args:
            space: What the observation space has at ``key``.
            action_space: Of a single environment; one that ``ActionCodec`` takes.
            key: What the environment calls the mask.

        Raises:
            SpaceError: If the mask does not fit the action space.
        """
        self._space, self._key = space, key
        self._parts = list(_discrete_parts(action_space, ()))
        if not self._parts:
            raise SpaceError(
                f"The observation space has the key {key!r}, but no part of the action space "
                f"{action_space} is discrete. Masks are for choices: remove it from the "
                f"observations, or call it something else."
            )
        # In the order of the action vector.
        self.leaves = list(_match(key, space, action_space, (), ()))
        self.size = sum(n for _, n in self._parts)

    @property
    def choices(self) -> tuple[int, ...]:
        """Number of choices of each discrete part, in the order of the action vector."""
        return tuple(n for _, n in self._parts)

    def encode(self, value: Batch, ended: np.ndarray | None = None) -> np.ndarray:
        """Turn masks into the column.

        Args:
            value: What the environments returned at ``action_mask``, arrays ``[N, ...]``.
            ended: ``bool [N]``, whether the episode ends with this observation. No action is
                chosen there: a part without any allowed choice is not an error then, and is
                stored as if all were allowed.

        Returns:
            ``uint8 [N, M]``; in each environment each part has an allowed choice.

        Raises:
            EnvironmentDataError: If a value is not 0 or 1, or no choice of a part is allowed.
        """
        values = [np.asarray(_at(value, leaf.path)) for leaf in self.leaves]
        mask = flat_mask(values)
        wrong = first_where((mask != 0) & (mask != 1))
        if wrong is not None:
            env, entry = wrong
            raise EnvironmentDataError(
                f"Environment {env} returned the value {mask[env, entry]} in entry {entry} of "
                f"{self._key!r}. Every entry must be 1 (allowed) or 0 (not allowed)."
            )
        mask = mask.astype(np.uint8)
        start = 0
        for name, n in self._parts:
            part = mask[:, start : start + n]
            empty = ~part.any(axis=-1)
            if ended is not None:
                part[empty & ended] = 1
                empty &= ~ended
            if empty.any():
                raise EnvironmentDataError(
                    f"Environment {int(np.argmax(empty))} allows no choice at all for {name}: "
                    f"entries {start} to {start + n - 1} of {self._key!r} are 0. Allow at least "
                    f"one, e.g. one that does nothing, or end the episode."
                )
            start += n
        return mask

    def decode(self, column: np.ndarray) -> Batch:
        """Column -> masks ``[N, ...]`` that nest as the mask space does."""
        arrays, start = {}, 0
        for leaf in self.leaves:
            array = column[:, start : start + leaf.size].reshape(len(column), *leaf.space.shape)
            box = isinstance(leaf.space, spaces.Box)
            arrays[leaf.path] = (
                into_bounds(array, leaf.space.low, leaf.space.high)
                if box
                else array.astype(leaf.space.dtype)
            )
            start += leaf.size

        def nest(space: gym.Space, path: Path) -> Batch:
            if isinstance(space, spaces.Dict):
                return {key: nest(child, (*path, key)) for key, child in children(space)}
            if isinstance(space, spaces.Tuple):
                return tuple(nest(child, (*path, i)) for i, child in children(space))
            return arrays[path]

        return nest(self._space, ())


def _at(value: Batch, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _discrete_parts(action: gym.Space, path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of choices of each discrete part, in the order of the action vector."""
    if isinstance(action, spaces.Dict | spaces.Tuple):
        for key, child in children(action):
            yield from _discrete_parts(child, (*path, key))
    elif isinstance(action, spaces.Discrete):
        yield place("action", path), int(action.n)
    elif not isinstance(action, spaces.Box):
        for i, n in enumerate(class_numbers(action)[0]):
            yield f"component {i} of {place('action', path)}", n


def _parts_to_mask(action: gym.Space) -> list[tuple[Any, gym.Space]]:
    """Keys or positions, and spaces, of the parts that a nested mask has entries for."""
    if isinstance(action, spaces.Dict | spaces.Tuple):
        return [part for part in children(action) if _num_choices(part[1])]
    if isinstance(action, spaces.MultiDiscrete | spaces.MultiBinary):
        return [(i, spaces.Discrete(n)) for i, n in enumerate(class_numbers(action)[0])]
    return []


def _num_choices(action: gym.Space) -> int:
    return sum(n for _, n in _discrete_parts(action, ()))


def _match(
    key: str, mask: gym.Space, action: gym.Space, mask_path: Path, action_path: Path
) -> Iterator[MaskLeaf]:
    """Find the leaves of a mask space, in the order of the action vector, and check them."""
    where = place("observation space", (key, *mask_path))
    if not isinstance(mask, spaces.Dict | spaces.Tuple):
        _check_mask_leaf(mask, action, where, place("action space", action_path))
        yield MaskLeaf(mask_path, mask, _num_choices(action))
        return
    parts = _parts_to_mask(action)
    keys = [part for part, _ in parts]
    mask_keys = [part for part, _ in children(mask)]
    if isinstance(mask, spaces.Dict):
        fits = isinstance(action, spaces.Dict) and set(mask_keys) == set(keys)
        needed = f"a Dict with the keys {keys}"
    else:
        fits = not isinstance(action, spaces.Dict) and len(mask_keys) == len(keys)
        needed = f"a Tuple of {len(keys)} items"
    if not (keys and fits):
        same_kind = isinstance(mask, spaces.Dict) == isinstance(action, spaces.Dict)
        nested = f"{needed}, one for each part with discrete choices, or " if keys else ""
        raise SpaceError(
            f"Cannot use {where}: {mask} does not nest as {place('action space', action_path)} "
            f"does. It must be {nested if same_kind else ''}one MultiBinary of "
            f"{_num_choices(action)} entries."
        )
    for mask_part, (part, child) in zip(
        keys if isinstance(mask, spaces.Dict) else mask_keys, parts, strict=True
    ):
        yield from _match(
            key, mask[mask_part], child, (*mask_path, mask_part), (*action_path, part)
        )


def _check_mask_leaf(mask: gym.Space, action: gym.Space, where: str, action_where: str) -> None:
    if isinstance(mask, spaces.Box):
        binary = bool((mask.low >= 0).all() and (mask.high <= 1).all())
    elif isinstance(mask, spaces.MultiDiscrete):
        binary = bool((mask.nvec == 2).all() and (mask.start == 0).all())
    else:
        binary = isinstance(mask, spaces.MultiBinary)
    size = _num_choices(action)
    if not binary:
        raise SpaceError(
            f"Cannot use {where}: {mask} is no action mask. Use MultiBinary({size}), or a Box from "
            f"0 to 1 of shape ({size},)."
        )
    shapes = [(size,)]
    if isinstance(action, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        classes = class_numbers(action)[0]
        if len(set(classes)) == 1:
            shapes.append((*action.shape, classes[0]))
    if mask.shape not in shapes:
        counted = " + ".join(str(n) for _, n in _discrete_parts(action, ()))
        sum_of = f"{counted} = {size}" if "+" in counted else counted
        hint = (
            " Each switch of a MultiBinary has two choices, off and on."
            if isinstance(action, spaces.MultiBinary)
            else ""
        )
        raise SpaceError(
            f"Cannot use {where}: it has the shape {mask.shape}, but {action_where} has {sum_of} "
            f"discrete choices, so it must have the shape ({size},).{hint}"
        )
