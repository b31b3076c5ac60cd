"""Joins the pieces of episodes that were recorded in several rows or files."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from rllib_dreamerv3.data.episode import Episode
from rllib_dreamerv3.errors import DataError, describe
from rllib_dreamerv3.spaces.nesting import Batch


def consecutive_pieces(pieces: Iterable[Episode]) -> Iterator[list[Episode]]:
    """Group the pieces of each episode.

    Args:
        pieces: Pieces of episodes, each with its name and start. Those of one episode are in order;
            others may be between them.

    Yields:
        Pieces that follow each other without a gap, as soon as the episode has ended or a gap is
        found; at the end those of episodes that have not ended. Pieces without steps are left out.
    """
    running: dict[str, list[Episode]] = {}
    for piece in pieces:
        before = running.pop(piece.name, [])
        if before and piece.start != before[-1].start + len(before[-1]):
            yield before
            before = []
        found = [*before, piece] if len(piece) or piece.ended else before
        if piece.ended:
            yield found
        elif found:
            running[piece.name] = found
    yield from running.values()


def joined(pieces: Sequence[Episode]) -> Episode:
    """Join consecutive pieces of an episode; each repeats the last observation before it.

    Raises:
        DataError: If their values are not of the same kind.
    """
    if len(pieces) == 1:
        return pieces[0]
    first, last = pieces[0], pieces[-1]
    try:
        before = [_without_last(piece.observations) for piece in pieces[:-1]]
        return replace(
            last,
            observations=_concatenated([*before, last.observations]),
            actions=_concatenated([piece.actions for piece in pieces if len(piece)]),
            rewards=np.concatenate([piece.rewards for piece in pieces]),
            from_reset=first.from_reset,
            source=first.source,
            start=first.start,
        )
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"{last.source} is damaged: it does not continue {first.source} ({describe(error)})."
        ) from error


def _without_last(value: Batch) -> Batch:
    if isinstance(value, dict):
        return {key: _without_last(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_without_last, value))
    return value[:-1]


def _concatenated(values: Sequence[Batch]) -> Batch:
    first = values[0]
    if isinstance(first, dict):
        return {key: _concatenated([value[key] for value in values]) for key in first}
    if isinstance(first, tuple):
        return tuple(_concatenated([value[i] for value in values]) for i in range(len(first)))
    return np.concatenate(values)
