"""What the networks need to know of the observation and action spaces, without Gymnasium.

``codecs.py`` turns Gymnasium spaces into these layouts; encoder, decoder and actor are built from
them. A *leaf* is a part of a space that is not nested any further. A trained policy can thus be
served where Gymnasium is not installed.
"""

from dataclasses import dataclass

import numpy as np

from rllib_dreamerv3.options.table import Cnn
from rllib_dreamerv3.portable.leaves import (
    ActionLeaf,
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    ObservationLeaf,
    Vector,
)

__all__ = [
    "ActionLayout",
    "ActionLeaf",
    "Categorical",
    "ContinuousAction",
    "DiscreteAction",
    "Image",
    "ObservationLayout",
    "ObservationLeaf",
    "Vector",
    "fits_cnn",
    "nearest_fitting_sides",
]


def fits_cnn(side: int, cnn: Cnn) -> bool:
    """Whether the CNN can take square images of this many pixels a side."""
    if cnn == "strided":
        return side >= 8 and side & (side - 1) == 0
    return side % 16 == 0 and 3 <= side // 16 <= 16


def nearest_fitting_sides(side: int, cnn: Cnn) -> tuple[int, ...]:
    """The next smaller and the next larger side that the CNN can take; one where no other is."""
    if cnn == "strided":
        sides = [2**k for k in range(3, max(side, 8).bit_length() + 1)]
    else:
        sides = [16 * k for k in range(3, 17)]
    below = [s for s in sides if s <= side][-1:]
    return (*below, *[s for s in sides if s > side][:1])


@dataclass(frozen=True)
class ObservationLayout:
    """All leaves of an observation space, in the order in which the space lists them."""

    leaves: tuple[ObservationLeaf, ...]

    @property
    def images(self) -> tuple[Image, ...]:
        """The leaves that go through the CNN."""
        return tuple(leaf for leaf in self.leaves if isinstance(leaf, Image))

    @property
    def vectors(self) -> tuple[Vector | Categorical, ...]:
        """The leaves that go through the MLP."""
        return tuple(leaf for leaf in self.leaves if not isinstance(leaf, Image))


@dataclass(frozen=True)
class ActionLayout:
    """All leaves of an action space; the action vector ``[A]`` is their concatenation.

    Attributes:
        leaves: In the order of the space.
        masked: Whether records have a column ``action_mask`` of M choices: those of all discrete
            leaves, in the order of the leaves. Continuous leaves take no part in it.
    """

    leaves: tuple[ActionLeaf, ...]
    masked: bool = False

    @property
    def size(self) -> int:
        """Width A of the action vector."""
        return sum(leaf.size for leaf in self.leaves)

    @property
    def all_continuous(self) -> bool:
        """Whether no leaf is discrete."""
        return all(isinstance(leaf, ContinuousAction) for leaf in self.leaves)

    @property
    def mask_slices(self) -> tuple[slice | None, ...]:
        """For each leaf, where its choices are in a mask ``[..., M]``; None for continuous ones."""
        slices: list[slice | None] = []
        start = 0
        for leaf in self.leaves:
            if isinstance(leaf, DiscreteAction):
                slices.append(slice(start, start + leaf.n))
                start += leaf.n
            else:
                slices.append(None)
        return tuple(slices)

    @property
    def mask_positions(self) -> np.ndarray:
        """Where in the action vector the choice of each mask entry is: ``int64 [M]``."""
        discrete = [np.full(leaf.size, isinstance(leaf, DiscreteAction)) for leaf in self.leaves]
        return np.flatnonzero(np.concatenate(discrete))
