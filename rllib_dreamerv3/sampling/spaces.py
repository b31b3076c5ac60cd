"""Gymnasium spaces <-> the flat columns and action vectors that DreamerV3 works with.

:class:`ObservationCodec` turns the batched observations of a vector environment into one record
column per leaf of the space; :class:`ActionCodec` turns action vectors into batched environment
actions. Both take any nesting of ``Dict`` and ``Tuple``; N is the number of environments.
"""

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.layout import ActionLayout, DiscreteAction, ObservationLayout
from rllib_dreamerv3.records import OBS_PREFIX, Columns
from rllib_dreamerv3.sampling.space_leaves import action_leaf, check_leaf, observation_leaf, one_hot

Batch = Any
"""What a vector environment returns or takes for N environments: arrays ``[N, ...]``, nested in
dicts and tuples as the space nests."""


class ObservationCodec:
    """Turns batched observations into record columns, and back.

    A leaf at ``space["camera"][0]`` becomes the column ``obs/camera/0``. A space without nesting
    becomes ``obs/image``, ``obs/vector`` or ``obs/state`` (an image, numbers, or classes).

    How a leaf is stored:

    * a 3-d ``Box`` is an image. The first axis is taken for the channels where it is 1 to 4 long
      and the last is not, or where it is less than half of both others; else the last axis.
      Channels are stored last. Integers other than ``uint8`` and all floats become ``float32``.
      The smallest lower and the largest upper bound scale the image; without finite bounds its
      values are taken to be in [0, 1] already, which is logged as a warning;
    * a 2-d ``uint8`` ``Box`` bounded by 0 and 255 with sides of at least 8 is a gray image;
    * any other ``Box`` of 0 to 2 dimensions is a flat ``float32`` vector. Values beyond the range
      of ``float32`` are clipped to it;
    * ``Discrete``, ``MultiDiscrete`` and ``MultiBinary`` become ``int32`` classes from 0 on.

    Attributes:
        space: The space of a single environment.
        layout: Its leaves, for the networks and for replay.
    """

    def __init__(self, space: gym.Space) -> None:
        """Reads the space.

        Args:
            space: Observation space of a single environment.

        Raises:
            SpaceError: If a part of the space cannot be learnt from; names the part.
        """
        self.space = space
        self._codecs = [
            observation_leaf(leaf, path) for path, leaf in _leaves(space, "observation space")
        ]
        self.layout = ObservationLayout(tuple(codec.leaf for codec in self._codecs))
        keys = [leaf.key for leaf in self.layout.leaves]
        for key in keys:
            if keys.count(key) > 1:
                raise SpaceError(
                    f"Two parts of the observation space are both called "
                    f"{key.removeprefix(OBS_PREFIX)!r}. Rename the keys of its Dict spaces that "
                    f"contain a slash."
                )

    def encode(self, batched_obs: Batch) -> Columns:
        """Turns the observations of N environments into record columns.

        Args:
            batched_obs: What the vector environment returned: arrays ``[N, ...]``, nested as the
                space is.

        Returns:
            Column key -> array ``[N, *leaf.shape]`` of the leaf's dtype. Arrays that need no
            conversion (``uint8`` images, ``float32`` vectors) share memory with ``batched_obs``.

        Raises:
            EnvironmentDataError: If a value is NaN or infinite, or a class does not exist.
        """
        values = _flatten(self.space, batched_obs)
        return {
            codec.leaf.key: codec.encode(np.asarray(value))
            for codec, value in zip(self._codecs, values, strict=True)
        }

    def decode(self, columns: Columns) -> Batch:
        """Turns record columns back into observations, for reports and tests.

        Args:
            columns: Column key -> array ``[N, ...]``; other columns are ignored.

        Returns:
            The observations, nested as the space is, in the dtypes of the space and inside its
            bounds. Numbers are as exact as ``float32``.
        """
        values = iter([codec.decode(columns[codec.leaf.key]) for codec in self._codecs])
        return _unflatten(self.space, values)


class ActionCodec:
    """Turns action vectors ``[N, A]`` into batched environment actions, and back.

    The vector is the concatenation of the leaves in the order of the space: one-hot for
    ``Discrete`` and for each component of ``MultiDiscrete`` and ``MultiBinary``, and for a ``Box``
    one number an element, where [-1, 1] stands for the whole range of an element that is bounded
    on both sides. Elements without two finite bounds are passed through unchanged (up to the one
    bound they may have).

    Attributes:
        space: The space of a single environment.
        layout: Its leaves, for the networks and for replay.
    """

    def __init__(self, space: gym.Space) -> None:
        """Reads the space.

        Args:
            space: Action space of a single environment.

        Raises:
            SpaceError: If a part of the space cannot be acted in; names the part.
        """
        self.space = space
        self._codecs = [action_leaf(leaf, path) for path, leaf in _leaves(space, "action space")]
        self.layout = ActionLayout(tuple(leaf for codec in self._codecs for leaf in codec.leaves))

    def decode(self, actions: np.ndarray) -> Batch:
        """Turns action vectors into what ``VectorEnv.step`` takes.

        Args:
            actions: ``float32 [N, A]``; of a one-hot part the largest element counts.

        Returns:
            Arrays ``[N, ...]`` nested as the space is. Every action is contained in the space.

        Raises:
            ValueError: If an action is NaN or infinite: the policy has diverged.
        """
        if not np.isfinite(actions).all():
            raise ValueError(
                "The policy returned an action that is NaN or infinite. Its weights have diverged: "
                "restore an earlier checkpoint and lower the learning rates."
            )
        offset, values = 0, []
        for codec in self._codecs:
            width = sum(leaf.size for leaf in codec.leaves)
            values.append(codec.decode(actions[:, offset : offset + width]))
            offset += width
        return _unflatten(self.space, iter(values))

    def encode(self, batched_actions: Batch) -> np.ndarray:
        """Turns environment actions into action vectors: the inverse of :meth:`decode`.

        Args:
            batched_actions: Arrays ``[N, ...]``, nested as the space is.

        Returns:
            ``float32 [N, A]``.
        """
        values = _flatten(self.space, batched_actions)
        parts = [
            codec.encode(np.asarray(value))
            for codec, value in zip(self._codecs, values, strict=True)
        ]
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draws uniformly random actions.

        Args:
            rng: Source of randomness.
            n: Number of action vectors.

        Returns:
            ``float32 [n, A]``: one-hot parts, and numbers in [-1, 1] (for elements without two
            bounds too, for want of a scale).
        """
        parts: list[np.ndarray] = []
        for leaf in self.layout.leaves:
            if isinstance(leaf, DiscreteAction):
                parts.append(one_hot(rng.integers(leaf.n, size=n), leaf.n))
            else:
                parts.append(rng.uniform(-1.0, 1.0, size=(n, leaf.size)).astype(np.float32))
        return np.concatenate(parts, axis=-1)


def _children(space: spaces.Dict | spaces.Tuple) -> list[tuple[Any, gym.Space]]:
    """Keys (of a Dict) or positions (of a Tuple) and the spaces there."""
    if isinstance(space, spaces.Dict):
        return list(space.spaces.items())
    return list(enumerate(space.spaces))


def _leaves(space: gym.Space, what: str) -> list[tuple[str, gym.Space]]:
    """Paths and spaces of all leaves, in the order of the space; ``what`` is for errors."""

    def walk(part: gym.Space, path: tuple[str, ...]) -> Iterator[tuple[str, gym.Space]]:
        where = f"the {what} at {'/'.join(path)!r}" if path else f"the {what}"
        if isinstance(part, spaces.Dict | spaces.Tuple):
            if not part.spaces:
                raise SpaceError(f"Cannot use {where}: it is empty. Remove it from the space.")
            for key, child in _children(part):
                yield from walk(child, (*path, str(key)))
        else:
            check_leaf(part, where)
            yield "/".join(path), part

    return list(walk(space, ()))


def _flatten(space: gym.Space, value: Batch) -> list[Any]:
    """Values of all leaves, in the order of :func:`_leaves`."""
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return [value]
    return [leaf for key, child in _children(space) for leaf in _flatten(child, value[key])]


def _unflatten(space: gym.Space, values: Iterator[Any]) -> Batch:
    """Inverse of :func:`_flatten`; takes from ``values`` as many as the space has leaves."""
    if isinstance(space, spaces.Dict):
        return {key: _unflatten(child, values) for key, child in _children(space)}
    if isinstance(space, spaces.Tuple):
        return tuple(_unflatten(child, values) for _, child in _children(space))
    return next(values)
