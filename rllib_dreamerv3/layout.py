"""What the networks need to know of the observation and action spaces, without Gymnasium.

``sampling/spaces.py`` turns Gymnasium spaces into these layouts; the module builds encoder,
decoder and actor from them. A trained policy can thus be served where Gymnasium is not installed.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Image:
    """An image column ``[..., height, width, channels]``, scaled to [0, 1] by its bounds.

    Attributes:
        key: Record column, ``obs/<path>``.
        height: Pixels.
        width: Pixels.
        channels: Colours or planes; channels are always last in a record.
        low: Value that becomes 0.0.
        high: Value that becomes 1.0.
        dtype: NumPy dtype name of the stored column (``uint8`` images stay ``uint8``).
    """

    key: str
    height: int
    width: int
    channels: int
    low: float = 0.0
    high: float = 255.0
    dtype: str = "uint8"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one stored value."""
        return (self.height, self.width, self.channels)


@dataclass(frozen=True)
class Vector:
    """A float column ``[..., size]``: numbers of any scale, flattened."""

    key: str
    size: int
    dtype: str = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one stored value."""
        return (self.size,)


@dataclass(frozen=True)
class Categorical:
    """An integer column ``[..., len(classes)]``: component i is one of ``classes[i]`` classes."""

    key: str
    classes: tuple[int, ...]
    dtype: str = "int32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one stored value."""
        return (len(self.classes),)


ObservationLeaf = Image | Vector | Categorical


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

    def zeros(self, *batch: int) -> dict[str, np.ndarray]:
        """Columns ``[*batch, ...]`` of zeros, for tracing and for tests."""
        return {leaf.key: np.zeros((*batch, *leaf.shape), leaf.dtype) for leaf in self.leaves}


@dataclass(frozen=True)
class DiscreteAction:
    """``n`` choices, one-hot in the action vector."""

    n: int

    @property
    def size(self) -> int:
        """Width in the action vector."""
        return self.n


@dataclass(frozen=True)
class ContinuousAction:
    """``size`` numbers, nominally in [-1, 1]."""

    size: int


ActionLeaf = DiscreteAction | ContinuousAction


@dataclass(frozen=True)
class ActionLayout:
    """All leaves of an action space; the action vector ``[A]`` is their concatenation."""

    leaves: tuple[ActionLeaf, ...]

    @property
    def size(self) -> int:
        """Width A of the action vector."""
        return sum(leaf.size for leaf in self.leaves)

    @property
    def all_discrete(self) -> bool:
        """Whether no leaf is continuous."""
        return all(isinstance(leaf, DiscreteAction) for leaf in self.leaves)

    @property
    def all_continuous(self) -> bool:
        """Whether no leaf is discrete."""
        return all(isinstance(leaf, ContinuousAction) for leaf in self.leaves)
