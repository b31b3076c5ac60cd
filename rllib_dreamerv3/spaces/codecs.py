"""Gymnasium spaces <-> the flat columns and action vectors that DreamerV3 works with.

:class:`ObservationCodec` turns the batched observations of a vector environment into one record
column per leaf of the space; :class:`ActionCodec` turns action vectors into batched environment
actions. Both take any nesting of ``Dict`` and ``Tuple``; N is the number of environments.
"""

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.options.table import Cnn
from rllib_dreamerv3.portable.leaves import (
    ActionPart,
    DiscreteAction,
    Image,
    ObservationLeaf,
    into_bounds,
    one_hot,
)
from rllib_dreamerv3.records import ACTION_MASK, MAX_FILE_NAME, OBS_PREFIX, Columns, file_name
from rllib_dreamerv3.spaces.action_masks import ActionMask, split_action_mask
from rllib_dreamerv3.spaces.images import fit_to_cnn, image_of, is_image
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout
from rllib_dreamerv3.spaces.leaves import (
    action_part,
    categorical_of,
    check_observed,
    vector_of,
)
from rllib_dreamerv3.spaces.nesting import Batch, flatten, leaves, paths, unflatten


class Spaces(NamedTuple):
    """Spaces of a single environment."""

    observation: gym.Space
    action: gym.Space


def make_codecs(
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    image_size: int | None = None,
    cnn: Cnn = "strided",
    mask_key: str = ACTION_MASK,
    normalize_actions: bool = True,
    clip_actions: bool = False,
) -> tuple["ObservationCodec", "ActionCodec"]:
    """Build both codecs of an environment; with an action mask they depend on each other.

    Args:
        observation_space: Of a single environment.
        action_space: Of a single environment.
        image_size: See :class:`ObservationCodec`.
        cnn: See :class:`ObservationCodec`.
        mask_key: See :class:`ObservationCodec`.
        normalize_actions: See :class:`ActionCodec`.
        clip_actions: See :class:`ActionCodec`.

    Returns:
        The codec of observations and that of actions.

    Raises:
        SpaceError: If a part of a space cannot be used; names the part.
        ConfigError: If the CNN cannot take ``image_size``.
    """
    masked = split_action_mask(observation_space, mask_key)[1] is not None
    actions = ActionCodec(
        action_space, masked=masked, normalize=normalize_actions, clip=clip_actions
    )
    observations = ObservationCodec(
        observation_space, image_size, cnn=cnn, actions=actions, mask_key=mask_key
    )
    return observations, actions


class ObservationCodec:
    """Turns batched observations into record columns, and back.

    A leaf at ``space["camera"][0]`` becomes the column ``obs/camera/0``. A space without nesting
    becomes ``obs/image``, ``obs/vector`` or ``obs/state`` (an image, numbers, or classes).

    How a leaf is stored:

    * a 3-d ``Box`` is an image. Where two neighbouring axes are equally long they are taken for
      height and width; otherwise the first axis is taken for the channels where it is 1 to 4 long
      and the last is not, or where it is less than half of both others; else the last axis.
      Channels are stored last. Integers other than ``uint8`` and all floats become ``float32``.
      The smallest lower and the largest upper bound scale the image; without finite bounds its
      values are taken to be in [0, 1] already, which is logged as a warning;
    * a 2-d ``uint8`` ``Box`` bounded by 0 and 255 with sides of at least 8, and any other 2-d
      ``Box`` whose elements all have the same two bounds with sides of at least 32, is an image
      of one channel;
    * all images get one size, which is logged once: ``image_size``, or that which they have if
      the CNN can take it, or 64x64. They are stretched to the square, averaged over areas where
      they shrink, and enlarged by repeating pixels; ``uint8`` images are rounded;
    * any other ``Box`` of 0 to 2 dimensions is a flat ``float32`` vector. Values beyond the range
      of ``float32`` are clipped to it;
    * ``Discrete``, ``MultiDiscrete`` and ``MultiBinary`` become ``int32`` classes from 0 on;
    * ``action_mask``, or what ``mask_key`` calls it, at the top of a ``Dict`` is no observation. It
      becomes the column ``action_mask``, see ``action_masks.py``.

    Attributes:
        space: The space of a single environment.
        observed: The space without the action mask.
        mask_key: What the environment calls its action mask, if it has one.
        layout: Leaves of ``observed``, for the networks and for replay.
    """

    def __init__(
        self,
        space: gym.Space,
        image_size: int | None = None,
        *,
        cnn: Cnn = "strided",
        actions: "ActionCodec | None" = None,
        mask_key: str = ACTION_MASK,
    ) -> None:
        """Read the space.

        Args:
            space: Observation space of a single environment.
            image_size: Pixels a side of all stored images; None chooses.
            cnn: What the images must fit.
            actions: Codec of the actions; needed if the space has an action mask. See
                :func:`make_codecs`.
            mask_key: What the environment calls its action mask.

        Raises:
            SpaceError: If a part of the space cannot be learnt from; names the part.
            ConfigError: If the CNN cannot take ``image_size``.
            ValueError: If ``actions`` is missing, or was created without a mask.
        """
        self.space = space
        self.observed, mask = split_action_mask(space, mask_key)
        self.mask_key = mask_key
        self._mask: ActionMask | None = None
        if mask is not None:
            if actions is None or not actions.layout.masked:
                raise ValueError(
                    f"The observation space has the key {mask_key!r}: build both codecs with "
                    f"make_codecs(), so that they agree on it."
                )
            self._mask = ActionMask(mask, actions.space, mask_key)
        found = [
            _observation_leaf(part, path)
            for path, part in leaves(self.observed, "observation space")
        ]
        images = [leaf for leaf in found if isinstance(leaf, Image)]
        resized = iter(fit_to_cnn(images, image_size, cnn))
        self.layout = ObservationLayout(
            tuple(next(resized) if isinstance(leaf, Image) else leaf for leaf in found)
        )
        keys = [leaf.key for leaf in self.layout.leaves]
        for key in keys:
            if keys.count(key) > 1:
                raise SpaceError(
                    f"Two parts of the observation space are both called "
                    f"{key.removeprefix(OBS_PREFIX)!r}. Rename the keys of its Dict spaces that "
                    f"contain a slash."
                )
            length = len(file_name(key))
            if length > MAX_FILE_NAME:
                raise SpaceError(
                    f"The name {key.removeprefix(OBS_PREFIX)[:40]!r}... of a part of the "
                    f"observation space is too long: checkpoints have a file of that name, of "
                    f"{length} characters where {MAX_FILE_NAME} are possible (others than ASCII "
                    f"letters and digits count as 3 to 12). Shorten the keys of its Dict spaces."
                )

    @property
    def parts(self) -> list[tuple[tuple[Any, ...], ObservationLeaf]]:
        """Where in the space each leaf is, and the leaf; without the action mask."""
        where = [path for path, _ in paths(self.observed)]
        return list(zip(where, self.layout.leaves, strict=True))

    @property
    def mask(self) -> tuple[str, ActionMask] | None:
        """What the environment calls the action mask, and its codec; None if there is none."""
        return None if self._mask is None else (self.mask_key, self._mask)

    def encode(self, batched_obs: Batch, ended: np.ndarray | None = None) -> Columns:
        """Turn the observations of N environments into record columns.

        Args:
            batched_obs: What the vector environment returned: arrays ``[N, ...]``, nested as the
                space is.
            ended: ``bool [N]``, whether the episode ends with this observation; only there may an
                action mask allow nothing. None means nowhere.

        Returns:
            Column key -> array ``[N, *leaf.shape]`` of the leaf's dtype, and ``action_mask``,
            ``uint8 [N, M]``, if there is one. Arrays that need no conversion (``uint8`` images
            that keep their size, ``float32`` vectors) share memory with ``batched_obs``.

        Raises:
            EnvironmentDataError: If a value is NaN or infinite, a class does not exist, or an
                action mask allows nothing.
        """
        values = map(np.asarray, flatten(self.observed, batched_obs))
        columns = {}
        for leaf, value in zip(self.layout.leaves, values, strict=True):
            check_observed(leaf, value)
            columns[leaf.key] = leaf.encode(value)
        if self._mask is not None:
            columns[ACTION_MASK] = self._mask.encode(batched_obs[self.mask_key], ended)
        return columns

    def decode(self, columns: Columns, *, clip: bool = True) -> Batch:
        """Turn record columns back into observations.

        Args:
            columns: Column key -> array ``[N, ...]``; other columns are ignored.
            clip: Whether floats are clipped to the bounds of their space. Environments may return
                others. Integers always are.

        Returns:
            The observations, nested as the space is, in the dtypes of the space. Numbers are as
            exact as ``float32``; images that were enlarged are exact, those that were made smaller
            are blurred.
        """
        values = []
        for leaf, (_, space) in zip(self.layout.leaves, paths(self.observed), strict=True):
            value = leaf.decode(columns[leaf.key])
            values.append(_of_box(value, space, clip) if isinstance(space, spaces.Box) else value)
        observed = unflatten(self.observed, iter(values))
        if self._mask is None:
            return observed
        observed[self.mask_key] = self._mask.decode(columns[ACTION_MASK])
        return {key: observed[key] for key in self.space.spaces}


class ActionCodec:
    """Turns action vectors ``[N, A]`` into batched environment actions, and back.

    The vector is the concatenation of the leaves in the order of the space: one-hot for
    ``Discrete`` and for each component of ``MultiDiscrete`` and ``MultiBinary``, and for a ``Box``
    one number an element, where [-1, 1] stands for the whole range of an element that is bounded
    on both sides. Elements without two finite bounds get the numbers themselves, within the one
    bound they may have. All numbers are clipped to [-1, 1] first, as the world model sees them too
    (2023 and 2025 code); that elements without bounds reach no further is logged as a warning.

    RLlib's options can have it otherwise: without ``normalize`` the numbers in [-1, 1] are not
    scaled, and reach the environment as they are, or clipped to its bounds with ``clip``.

    Attributes:
        space: The space of a single environment.
        parts: What becomes of each of its leaves, in the order of the space.
        layout: The same for the networks and for replay.
    """

    def __init__(
        self,
        space: gym.Space,
        *,
        masked: bool = False,
        normalize: bool = True,
        clip: bool = False,
    ) -> None:
        """Read the space.

        Args:
            space: Action space of a single environment.
            masked: Whether the observations have an action mask.
            normalize: Whether [-1, 1] stands for the range between two bounds.
            clip: Whether numbers that are not scaled are clipped to the bounds.

        Raises:
            SpaceError: If a part of the space cannot be acted in; names the part.
        """
        self.space = space
        self.parts: list[ActionPart] = [
            action_part(leaf, normalize=normalize, clip=clip)
            for _, leaf in leaves(space, "action space")
        ]
        self.layout = ActionLayout(
            tuple(leaf for part in self.parts for leaf in part.leaves), masked
        )

    def decode(self, actions: np.ndarray) -> Batch:
        """Turn action vectors into what ``VectorEnv.step`` takes.

        Args:
            actions: ``float32 [N, A]``; of a one-hot part the largest element counts.

        Returns:
            Arrays ``[N, ...]`` nested as the space is. Every action is contained in the space,
            unless it is neither normalised nor clipped.

        Raises:
            ValueError: If an action is NaN or infinite: the policy has diverged.
        """
        if not np.isfinite(actions).all():
            raise ValueError(
                "The policy returned an action that is NaN or infinite. Its weights have diverged: "
                "restore an earlier checkpoint and lower the learning rates."
            )
        offset, values = 0, []
        for part in self.parts:
            values.append(part.decode(actions[:, offset : offset + part.size]))
            offset += part.size
        return unflatten(self.space, iter(values))

    def encode(self, batched_actions: Batch) -> np.ndarray:
        """Turn environment actions into action vectors: the inverse of :meth:`decode`.

        Actions that no vector gives, beyond [-1, 1] without bounds, become the nearest one.

        Args:
            batched_actions: Arrays ``[N, ...]``, nested as the space is.

        Returns:
            ``float32 [N, A]``.
        """
        values = flatten(self.space, batched_actions)
        encoded = [
            part.encode(np.asarray(value)) for part, value in zip(self.parts, values, strict=True)
        ]
        return np.concatenate(encoded, axis=-1, dtype=np.float32)

    def sample(
        self, rng: np.random.Generator, n: int, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw uniformly random actions.

        Args:
            rng: Source of randomness.
            n: Number of action vectors.
            mask: ``[n, M]``, 1 for the choices to draw from; None for all.

        Returns:
            ``float32 [n, A]``: one-hot parts, and numbers in [-1, 1] (for elements without two
            bounds too, because they have no scale).

        Raises:
            ValueError: If a mask allows no choice of a part, or is not of that shape.
        """
        if mask is not None and mask.shape != (n, len(self.layout.mask_positions)):
            raise ValueError(
                f"The mask must have the shape {(n, len(self.layout.mask_positions))}, not "
                f"{mask.shape}."
            )
        parts: list[np.ndarray] = []
        for leaf, where in zip(self.layout.leaves, self.layout.mask_slices, strict=True):
            if not isinstance(leaf, DiscreteAction):
                parts.append(rng.uniform(-1.0, 1.0, size=(n, leaf.size)).astype(np.float32))
            elif mask is None:
                parts.append(one_hot(rng.integers(leaf.n, size=n), leaf.n))
            else:
                parts.append(one_hot(_draw_allowed(rng, mask[:, where]), leaf.n))
        return np.concatenate(parts, axis=-1)


def _draw_allowed(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Draw one of the allowed choices of each row of a mask ``[n, choices]``, uniformly."""
    allowed_so_far = np.cumsum(mask != 0, axis=-1)
    if not allowed_so_far[:, -1].all():
        raise ValueError("The mask allows no choice at all, so that none can be drawn.")
    drawn = rng.integers(allowed_so_far[:, -1])
    return (allowed_so_far <= drawn[:, None]).sum(axis=-1)


def _of_box(value: np.ndarray, box: spaces.Box, clip: bool) -> np.ndarray:
    """Cast numbers of records ``[N, ...]`` to the dtype of a Box; see `ObservationCodec.decode`."""
    inside = into_bounds(value, box.low, box.high)
    if clip or box.dtype.kind != "f":
        return inside
    # Rounding to float32 may move a number across its bound; such numbers were not outside.
    with np.errstate(over="ignore"):
        low, high = box.low.astype(np.float32), box.high.astype(np.float32)
        unclipped = value.astype(box.dtype)
    return np.where((value < low) | (value > high), unclipped, inside)


def _observation_leaf(space: gym.Space, path: str) -> ObservationLeaf:
    if not isinstance(space, spaces.Box):
        return categorical_of(space, path)
    return image_of(space, path) if is_image(space) else vector_of(space, path)
