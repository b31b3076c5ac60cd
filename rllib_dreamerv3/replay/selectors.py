"""How replay chooses the sequences it serves: uniformly, by curiosity, by recency, or a mixture.

Uniform draws can be limited to recorded data, or to what the run has sampled.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rllib_dreamerv3.records import Columns, is_recorded
from rllib_dreamerv3.replay.column_specs import ColumnSpec, Specs
from rllib_dreamerv3.replay.start_positions import StartPositions
from rllib_dreamerv3.replay.storage import Segment, Storage, Window
from rllib_dreamerv3.replay.sum_tree import IntArray, SumTree

# Curious Replay, arXiv 2306.15934: c, beta, alpha, epsilon and p_max, as in the authors' code.
COUNT_SCALE = 1e4
COUNT_DECAY = 0.7
LOSS_EXPONENT = 0.7
LOSS_OFFSET = 0.01
NEW_PRIORITY = 1e5

# Weights are multiples of this many parts of a priority of 1, so that their sums are exact.
PARTS = 2**16
# More visits make no difference: c * beta^255 is 3e-36.
MAX_VISITS = 255

# Arrays grow by this factor.
_GROWTH = 1.25


class Selector(Protocol):
    """One way of choosing among the stored sequences.

    Attributes:
        specs: Column name -> dtype and shape of the state of each start position.
    """

    specs: Specs

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """Choose sequences, with replacement.

        Args:
            count: Number of sequences.
            rng: Generator of all draws.

        Returns:
            Their positions, all completely stored.
        """

    def extend(self, segment: Segment, num_new: int) -> None:
        """Include the sequences that new records complete.

        Args:
            segment: The segment with the new records.
            num_new: Number of new records at its end.
        """

    def update(self, windows: Sequence[Window], losses: npt.NDArray[np.float32]) -> None:
        """Use the losses of an update of the networks.

        Args:
            windows: Positions of the B sequences that were trained on.
            losses: Model losses of their records, float32 ``[B, T]``.
        """

    def state(self, addresses: IntArray) -> Columns:
        """Return the state of each record.

        Args:
            addresses: Of all stored records, ascending, see `Storage.addresses`.

        Returns:
            Name in ``specs`` -> array ``[n]``.
        """

    def restore(self, addresses: IntArray, state: Columns) -> None:
        """Replace the state, after storage was restored.

        Args:
            addresses: Of the saved records, in their order; -1 for those no longer stored.
            state: What :meth:`state` returned for them. Sequences count as new without it.
        """


class Uniform:
    """Each start position is equally likely."""

    def __init__(self, storage: Storage, starts: StartPositions, length: int):
        """Create a selector, see :class:`Curious`."""
        self.specs: Specs = {}
        self._starts = starts

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """Choose sequences by their numbers."""
        return self._starts.windows(rng.integers(len(self._starts), size=count))

    def extend(self, segment: Segment, num_new: int) -> None:
        """Do nothing: start positions are derived from storage."""

    def update(self, windows: Sequence[Window], losses: npt.NDArray[np.float32]) -> None:
        """Do nothing: updates have no influence."""

    def state(self, addresses: IntArray) -> Columns:
        """Return an empty state."""
        return {}

    def restore(self, addresses: IntArray, state: Columns) -> None:
        """Do nothing: there is no state."""


class FromRecordedData(Uniform):
    """Each start position in recorded data is equally likely, or each of all if there is none."""

    def __init__(self, storage: Storage, starts: StartPositions, length: int):
        """Create a selector, see :class:`Curious`."""
        super().__init__(storage, starts, length)
        self._every = starts
        self._starts = StartPositions(storage, starts.sequence_length, self._includes)

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """Choose sequences by their numbers."""
        starts = self._starts if len(self._starts) else self._every
        return starts.windows(rng.integers(len(starts), size=count))

    def _includes(self, segment: Segment) -> bool:
        return is_recorded(segment.stream)


class FromRun(FromRecordedData):
    """Each start position in what the run has sampled is equally likely, or each of all."""

    def _includes(self, segment: Segment) -> bool:
        return not is_recorded(segment.stream)


class Curious:
    """Curious Replay: prefers sequences that are new, or that the model predicts badly.

    The probability of a sequence is proportional to the priority of its last record, which
    :func:`priorities` computes from the number of updates that have trained on the record and from
    its model loss in the last one. Sequences that were never trained on have the highest priority.
    Source: Kauvar et al. 2023, arXiv 2306.15934, and their code for DreamerV3, which also gives
    each sequence the priority of its last record.
    """

    def __init__(self, storage: Storage, starts: StartPositions, length: int):
        """Create a selector without sequences.

        Args:
            storage: The stored records.
            starts: Positions of sequences in it.
            length: Training records of a sequence, T.
        """
        self.specs: Specs = {
            "weight": ColumnSpec(np.dtype(np.int64), ()),
            "visits": ColumnSpec(np.dtype(np.uint8), ()),
        }
        self._storage, self._starts, self._length = storage, starts, length
        self._clear(0)

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """Choose sequences in proportion to their priorities."""
        self._forget_evicted()
        return self._storage.windows(self._tree.draw(count, rng) + self._first)

    def extend(self, segment: Segment, num_new: int) -> None:
        """Give new sequences the highest priority."""
        addresses = self._starts.addresses(segment, num_new)
        if len(addresses):
            self._make_room(int(addresses[-1]) + 1)
            self._tree.set(addresses - self._first, _NEW_WEIGHT)

    def update(self, windows: Sequence[Window], losses: npt.NDArray[np.float32]) -> None:
        """Replace the priorities of all sequences whose last record was trained on."""
        # The T training records are the last ones of the sequences that start up to here.
        addresses = self._storage.addresses_upto(windows, self._length)
        stored = addresses >= 0
        items = addresses[stored] - self._first
        visits = np.minimum(self._visits[items], MAX_VISITS - 1) + np.uint8(1)
        self._visits[items] = visits
        self._tree.set(items, _weights(priorities(visits, losses[stored])))

    def state(self, addresses: IntArray) -> Columns:
        """Return weights, in parts of a priority, and visits; 0 where no sequence starts."""
        self._forget_evicted()
        if len(addresses):
            self._make_room(int(addresses[-1]) + 1)
        items = addresses - self._first
        return {"weight": self._tree.weights[items], "visits": self._visits[items]}

    def restore(self, addresses: IntArray, state: Columns) -> None:
        """Restore weights and visits; give sequences without them the highest priority."""
        self._clear(self._storage.oldest_address)
        for segment in self._storage.segments:
            self.extend(segment, len(segment))
        if self.specs.keys() <= state.keys() and addresses.max(initial=-1) >= 0:
            self._make_room(int(addresses.max()) + 1)
            items = np.maximum(addresses - self._first, 0)
            # Only stored sequences may be drawn, even if the file is wrong.
            known = (addresses >= 0) & (state["weight"] > 0) & (self._tree.weights[items] > 0)
            weights = np.minimum(state["weight"][known], _NEW_WEIGHT)
            self._tree.set(items[known], weights)
            self._visits[items[known]] = state["visits"][known]

    def _clear(self, first: int) -> None:
        """Forget everything; item 0 is the record of address ``first`` from now on."""
        self._first = self._oldest = first
        self._tree, self._visits = SumTree(0), np.zeros(0, np.uint8)

    def _make_room(self, stop: int) -> None:
        """Provide items for all addresses below ``stop``, dropping those of evicted records."""
        if stop - self._first <= len(self._tree.weights):
            return
        weights, visits = (
            x[self._storage.oldest_address - self._first :]
            for x in (self._tree.weights, self._visits)
        )
        self._first = self._oldest = self._storage.oldest_address
        self._tree = SumTree(int(_GROWTH * (stop - self._first)), weights)
        self._visits = np.zeros(len(self._tree.weights), np.uint8)
        self._visits[: len(visits)] = visits

    def _forget_evicted(self) -> None:
        oldest = self._storage.oldest_address
        if oldest != self._oldest:
            stop = min(oldest - self._first, len(self._tree.weights))
            self._tree.set(np.arange(self._oldest - self._first, stop), 0)
            self._oldest = oldest


def priorities(
    visits: npt.NDArray[np.integer], losses: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Compute priorities of records: c * beta^visits + (|loss| + epsilon)^alpha.

    Source: Curious Replay, arXiv 2306.15934.

    Args:
        visits: Updates that have trained on each record, ``[n]``.
        losses: Its model loss in the last of them, ``[n]``.

    Returns:
        float64 ``[n]``, above 0.
    """
    unexpected = (np.abs(losses) + LOSS_OFFSET) ** LOSS_EXPONENT
    return _OF_VISITS[visits] + unexpected


_OF_VISITS = COUNT_SCALE * COUNT_DECAY ** np.arange(MAX_VISITS + 1)
_NEW_WEIGHT = int(NEW_PRIORITY) * PARTS


def _weights(priority: npt.NDArray[np.float64]) -> IntArray:
    """Convert priorities to whole numbers, at most that of new sequences."""
    return np.rint(np.minimum(priority, NEW_PRIORITY) * PARTS).astype(np.int64)


class Recent:
    """Prefers sequences that arrived last: the probability is proportional to 1 / (1 + age).

    The age is the number of stored sequences that arrived later. Source: 2025 code, ``Recency``
    with ``recexp: 1.0``.
    """

    def __init__(self, storage: Storage, starts: StartPositions, length: int):
        """Create a selector without sequences, see :class:`Curious`."""
        self.specs: Specs = {"arrival": ColumnSpec(np.dtype(np.int64), ())}
        self._storage, self._starts = storage, starts
        # Addresses of the start positions in the order in which they arrived, and room for more.
        self._arrivals: IntArray = np.zeros(0, np.int64)
        self._count, self._oldest = 0, storage.oldest_address
        self._upto = np.zeros(0)

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """Choose sequences by their ages."""
        self._forget_evicted()
        upto = self._sums_of_weights()
        ages = np.searchsorted(upto, rng.random(count) * upto[-1], side="right")
        # The product may be rounded up to the total.
        ages = np.minimum(ages, self._count - 1)
        return self._storage.windows(self._arrivals[self._count - 1 - ages])

    def extend(self, segment: Segment, num_new: int) -> None:
        """Append new sequences."""
        addresses = self._starts.addresses(segment, num_new)
        if self._count + len(addresses) > len(self._arrivals):
            self._forget_evicted()
            before = self._arrivals[: self._count]
            room = int(_GROWTH * (self._count + len(addresses)))
            self._arrivals = np.concatenate([before, np.empty(room - len(before), np.int64)])
        self._arrivals[self._count :][: len(addresses)] = addresses
        self._count += len(addresses)

    def update(self, windows: Sequence[Window], losses: npt.NDArray[np.float32]) -> None:
        """Do nothing: updates have no influence."""

    def state(self, addresses: IntArray) -> Columns:
        """Return the order in which sequences arrived; -1 where none starts."""
        self._forget_evicted()
        arrival = np.full(len(addresses), -1, np.int64)
        starts = np.searchsorted(addresses, self._arrivals[: self._count])
        arrival[starts] = np.arange(self._count)
        return {"arrival": arrival}

    def restore(self, addresses: IntArray, state: Columns) -> None:
        """Restore a saved order; without one, use the order of the addresses."""
        every = [self._starts.addresses(segment) for segment in self._storage.segments]
        is_start = np.isin(addresses, np.concatenate([addresses[:0], *every]))
        arrival = state.get("arrival", addresses)[is_start]
        self._arrivals = addresses[is_start][np.argsort(arrival, kind="stable")]
        self._count, self._oldest = len(self._arrivals), self._storage.oldest_address

    def _forget_evicted(self) -> None:
        oldest = self._storage.oldest_address
        if oldest != self._oldest:
            arrivals = self._arrivals[: self._count]
            kept = arrivals[arrivals >= oldest]
            self._arrivals[: len(kept)], self._count = kept, len(kept)
            self._oldest = oldest

    def _sums_of_weights(self) -> npt.NDArray[np.float64]:
        """Return cumulative weights of the ages from 0 to that of the oldest sequence."""
        if self._count > len(self._upto):
            self._upto = np.cumsum(1.0 / np.arange(1, int(_GROWTH * self._count) + 1))
        return self._upto[: self._count]


class Mixture:
    """Chooses a selector for each sequence, with fixed probabilities. Source: 2025 code."""

    def __init__(self, selectors: Sequence[Selector], fractions: Sequence[float]):
        """Combine selectors.

        Args:
            selectors: The selectors.
            fractions: Probability of each; they sum to 1.
        """
        self._selectors, self._fractions = selectors, fractions
        self.specs = {name: spec for x in selectors for name, spec in x.specs.items()}

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """Choose how many sequences each selector draws, and let them draw."""
        counts = rng.multinomial(count, self._fractions).tolist()
        drawn = [x.draw(n, rng) for x, n in zip(self._selectors, counts, strict=True)]
        return [window for windows in drawn for window in windows]

    def extend(self, segment: Segment, num_new: int) -> None:
        """Pass new records to all selectors."""
        for selector in self._selectors:
            selector.extend(segment, num_new)

    def update(self, windows: Sequence[Window], losses: npt.NDArray[np.float32]) -> None:
        """Pass the update to all selectors."""
        for selector in self._selectors:
            selector.update(windows, losses)

    def state(self, addresses: IntArray) -> Columns:
        """Return the states of all selectors; their column names differ."""
        return {k: v for x in self._selectors for k, v in x.state(addresses).items()}

    def restore(self, addresses: IntArray, state: Columns) -> None:
        """Restore the state of each selector."""
        for selector in self._selectors:
            selector.restore(addresses, {k: v for k, v in state.items() if k in selector.specs})


SELECTORS: Mapping[str, Callable[[Storage, StartPositions, int], Selector]] = {
    "uniform": Uniform,
    "curious": Curious,
    "recent": Recent,
    "recorded": FromRecordedData,
    "sampled": FromRun,
}


def make_selector(
    fractions: Mapping[str, float], storage: Storage, starts: StartPositions, length: int
) -> Selector:
    """Create the selector for ``replay_buffer_config: sampling``.

    Args:
        fractions: Name in SELECTORS -> share of the drawn sequences; they sum to 1.
        storage: The stored records.
        starts: Positions of sequences in it.
        length: Training records of a sequence, T.

    Raises:
        ValueError: If a name is unknown.
    """
    if unknown := fractions.keys() - SELECTORS.keys():
        raise ValueError(f"{unknown.pop()!r} is not among {', '.join(SELECTORS)}.")
    # In a fixed order, as the draws depend on it.
    names = [name for name in SELECTORS if name in fractions]
    selectors = [SELECTORS[name](storage, starts, length) for name in names]
    if len(selectors) == 1:
        return selectors[0]
    return Mixture(selectors, [fractions[name] for name in names])
