"""A recorded episode, and its conversion to records and back."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.errors import DataError, EnvironmentDataError
from rllib_dreamerv3.portable.leaves import Categorical, DiscreteActions, Image, not_finite
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST, IS_TERMINAL, REWARD, Columns
from rllib_dreamerv3.spaces.bounds import ObservationBounds
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec
from rllib_dreamerv3.spaces.nesting import Batch, children, paths, place, unflatten

# Columns of the authors' records that are no observations; their names may also begin with "log_".
_NOT_OBSERVED = ("id", "reset", "stepid", "consec", "dyn")


@dataclass(frozen=True, eq=False)
class Episode:
    """An episode of N steps, or N consecutive steps of one.

    Attributes:
        observations: Arrays ``[N+1, ...]``, nested as the observation space is.
        actions: Arrays ``[N, ...]``, nested as the action space is, as the environment took them.
        rewards: ``[N]``.
        terminated: Whether it ended by termination.
        truncated: Whether it ended otherwise, such as by a time limit.
        from_reset: Whether the first observation comes from a reset.
        source: File and position, for errors.
        name: Name of the episode, if other pieces of it may be separate; empty otherwise.
        start: Number of its steps before these.
    """

    observations: Batch
    actions: Batch
    rewards: np.ndarray
    terminated: bool
    truncated: bool
    from_reset: bool = True
    source: str = "an episode"
    name: str = ""
    start: int = 0

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def ended(self) -> bool:
        """Whether it ended, by termination or truncation."""
        return self.terminated or self.truncated


def records_of(
    episode: Episode,
    observations: ObservationCodec,
    actions: ActionCodec,
    bounds: ObservationBounds | None = None,
) -> Columns:
    """Convert an episode to records.

    Args:
        episode: The episode. Keys that a Dict space does not have are ignored. A dict with one
            array that fits is accepted if the observation space has no parts, and one-hot actions
            ``[N, n]`` if the action space is Discrete.
        observations: Codec of the environment's observations.
        actions: Codec of its actions.
        bounds: Compares the observations with their bounds, as env runners do; None to take them
            as they are.

    Returns:
        The record columns without latents: ``[N+1, ...]``, or ``[N, ...]`` if the episode did not
        end, since the action at the last observation is unknown then.

    Raises:
        DataError: If something is missing, of another shape, not finite, or outside the spaces.
    """
    steps = len(episode)
    if not steps:
        raise DataError(f"{episode.source} has no steps.")
    rewards = _numbers(episode.rewards, "the rewards", episode.source)
    if rewards.shape != (steps,):
        raise DataError(
            f"{episode.source}: the rewards have the shape {list(rewards.shape)}; each step must "
            "have one number."
        )
    with np.errstate(over="ignore"):  # Records have float32, in which 1e39 is infinite.
        rewards = rewards.astype(np.float32)
    _require_finite(rewards, "the reward, as float32,", episode.source)
    observed, chosen = episode.observations, episode.actions
    if isinstance(observed, dict) and not isinstance(
        observations.space, spaces.Dict | spaces.Tuple
    ):
        observed = _single(observed, observations.space, steps + 1, episode.source)
    if isinstance(actions.space, spaces.Discrete):
        chosen = _classes(chosen, actions.space, steps, episode.source)
    observed = _fitting(observations.space, observed, steps + 1, "observation", episode.source)
    chosen = _fitting(actions.space, chosen, steps, "action", episode.source)
    _check_observations(observed, observations, episode.source)
    _check_actions(chosen, actions, episode.source)
    if bounds is not None:
        observed = bounds.check(observed)

    no = np.zeros(steps + 1, bool)
    first, last, terminal = no.copy(), no.copy(), no.copy()
    first[0], last[-1], terminal[-1] = episode.from_reset, episode.ended, episode.terminated
    try:
        columns = observations.encode(observed, ended=last)
    except EnvironmentDataError as error:  # An invalid action mask.
        raise DataError(f"{episode.source}: {error}") from error
    encoded = actions.encode(chosen)
    columns |= {
        REWARD: np.concatenate([np.zeros(1, np.float32), rewards]),
        IS_FIRST: first,
        IS_LAST: last,
        IS_TERMINAL: terminal,
        ACTION: np.concatenate([encoded, np.zeros_like(encoded[:1])]),
    }
    return columns if episode.ended else {name: x[:-1] for name, x in columns.items()}


def episodes_of(
    columns: Columns, observations: ObservationCodec, actions: ActionCodec, source: str
) -> Iterator[Episode]:
    """Divide consecutive records into episodes.

    Images that are stored smaller than the environment's are enlarged again.

    Args:
        columns: Record columns ``[n, ...]`` of one stream.
        observations: Codec of the observations.
        actions: Codec of the actions.
        source: Name of the records in error messages.

    Yields:
        The episodes, in order. The first may lack its beginning, the last its end. Episodes of a
        single record, which have no step, are left out.
    """
    for where in slices_of_episodes(columns):
        part = {name: x[where] for name, x in columns.items()}
        yield Episode(
            # As the environment returned them, also if they were outside of the bounds.
            observations.decode(part, clip=False),
            actions.decode(part[ACTION][:-1]),
            part[REWARD][1:],
            **ends_of(part),
            source=f"records {where.start} to {where.stop} of {source}",
        )


def slices_of_episodes(columns: Columns) -> Iterator[slice]:
    """Yield the slice of each episode in consecutive records, if it has at least one step."""
    starts = np.flatnonzero(columns[IS_FIRST])
    ends = np.flatnonzero(columns[IS_LAST]) + 1
    bounds = np.unique(np.concatenate([[0], starts, ends, [len(columns[IS_FIRST])]])).tolist()
    for low, high in itertools.pairwise(bounds):
        if high - low > 1:
            yield slice(low, high)


class Ends(TypedDict):
    """How an episode begins and ends, as arguments of :class:`Episode`."""

    from_reset: bool
    terminated: bool
    truncated: bool


def ends_of(columns: Columns) -> Ends:
    """Return how the episode of these records begins and ends."""
    terminated = bool(columns[IS_TERMINAL][-1])
    return {
        "from_reset": bool(columns[IS_FIRST][0]),
        "terminated": terminated,
        "truncated": bool(columns[IS_LAST][-1]) and not terminated,
    }


def _fitting(space: gym.Space, value: Batch, n: int, what: str, source: str) -> Batch:
    """Return the values of a space's parts as arrays ``[n, ...]``, and drop all other values.

    Raises:
        DataError: If a part is missing, not numeric, or of another shape.
    """
    found = []
    for path, part in paths(space):
        where = place(what, path)
        array = _numbers(_at(space, value, path, what, source), where, source)
        shape = (n, *(part.shape or ()))
        if array.shape != shape:
            raise DataError(
                f"{source}: {where} has the shape {list(array.shape)}, but {list(shape)} is needed "
                f"for {n} values of {part}."
            )
        found.append(array)
    return unflatten(space, iter(found))


def _single(observed: dict[str, Any], space: gym.Space, n: int, source: str) -> Any:
    """Return the array of a dict that is the observation of a space without parts.

    Raises:
        DataError: If several arrays could be, or none.
    """
    shape = (n, *(space.shape or ()))
    found = {
        key: value
        for key, value in observed.items()
        if key not in _NOT_OBSERVED and not str(key).startswith("log_")
    } or observed
    if len(found) > 1:
        found = {key: x for key, x in found.items() if getattr(x, "shape", None) == shape}
    if len(found) != 1:
        raise DataError(
            f"{source}: the observation space is {space}, so one key of the observation must have "
            f"the shape {list(shape)}. Of {', '.join(map(repr, observed))} these do: "
            f"{', '.join(map(repr, found)) or 'none'}."
        )
    return next(iter(found.values()))


def _classes(value: Batch, space: spaces.Discrete, steps: int, source: str) -> np.ndarray:
    """Return one-hot actions ``[N, n]``, or ``[N, 1]``, as ``[N]``; other arrays as they are.

    Raises:
        DataError: If rows ``[n]`` are not one-hot.
    """
    array = _numbers(value, "the action", source)
    if array.shape == (steps, 1):
        return array.reshape(steps)
    if array.shape != (steps, space.n):
        return array
    one_hot = ((array != 0).sum(axis=-1) == 1) & (array == 1).any(axis=-1)
    if not one_hot.all():
        step = int(np.argmin(one_hot))
        raise DataError(
            f"{source}: the action in step {step} is {array[step].tolist()}. It must be the class, "
            f"or one-hot: one 1 and {space.n - 1} zeros."
        )
    return array.argmax(axis=-1) + space.start


def _at(space: gym.Space, value: Any, path: tuple[Any, ...], what: str, source: str) -> Any:
    """Return the part of a nested value at a path; raise DataError if it is missing."""
    for depth, key in enumerate(path):
        here = path[:depth]
        if isinstance(space, spaces.Dict) and not isinstance(value, dict):
            raise DataError(
                f"{source}: {place(what, here)} is a {type(value).__name__}, but the space is a "
                f"Dict with the keys {', '.join(map(str, space.spaces))}."
            )
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            keys = list(value) if isinstance(value, dict | tuple | list) else []
            keys = keys if isinstance(value, dict) else list(range(len(keys)))
            raise DataError(
                f"{source}: {place(what, path[: depth + 1])} is missing. It has "
                f"{', '.join(map(repr, keys)) or 'nothing'}."
            ) from None
        space = dict(children(space))[key]
    return value


def _numbers(value: Any, where: str, source: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # Rows of different lengths.
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        kind = type(value).__name__ if array.dtype.kind == "O" else array.dtype.name
        raise DataError(f"{source}: {where} must be an array of numbers, not {kind}.")
    return array


def _check_observations(observed: Batch, codec: ObservationCodec, source: str) -> None:
    for path, leaf in codec.parts:
        value, where = observed, place("observation", path)
        for key in path:
            value = value[key]
        if isinstance(leaf, Categorical):
            unknown = leaf.unknown(value)
            if unknown is not None:
                raise DataError(
                    f"{source}: {where} has the value {value.reshape(len(value), -1)[unknown]} in "
                    f"step {unknown[0]}, which the observation space does not contain."
                )
        else:
            _require_finite(value, where, source)
            unfit = leaf.unfit(value) if isinstance(leaf, Image) else None
            if unfit is not None:
                raise DataError(f"{source}: {where} has {unfit}.")


def _check_actions(chosen: Batch, codec: ActionCodec, source: str) -> None:
    for (path, _), part in zip(paths(codec.space), codec.parts, strict=True):
        value, where = chosen, place("action", path)
        for key in path:
            value = value[key]
        if not isinstance(part, DiscreteActions):
            _require_finite(value, where, source)
        elif (unknown := part.unknown(value)) is not None:
            raise DataError(
                f"{source}: {where} has the value {value.reshape(len(value), -1)[unknown]} in step "
                f"{unknown[0]}, which the action space does not contain."
            )


def _require_finite(value: np.ndarray, where: str, source: str) -> None:
    found = not_finite(value)
    if found is not None:
        step, kind = found
        raise DataError(f"{source}: {where} has {kind} in step {step}.")
