"""Recorded episodes as chunks of records, for replay."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.data.dataset import Dataset
from rllib_dreamerv3.data.episode import Episode, records_of
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.records import EndedEpisode, RecordChunk, recorded_stream
from rllib_dreamerv3.replay.column_specs import Specs
from rllib_dreamerv3.spaces.bounds import ObservationBounds
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec
from rllib_dreamerv3.spaces.nesting import paths, place

logger = logging.getLogger(__name__)


def chunks_of(
    datasets: Iterable[Dataset],
    observations: ObservationCodec,
    actions: ActionCodec,
    *,
    latents: Specs,
    clip_observations: bool = False,
    skip_damaged: bool = False,
) -> Iterator[RecordChunk]:
    """Convert recorded episodes to records.

    Complete episodes follow each other in one stream, since sequences may cross their bounds, as
    in a run. An episode without its beginning starts a new stream, and one without its end is the
    last of its stream.

    Args:
        datasets: Datasets, read one after the other.
        observations: Codec of the environment's observations.
        actions: Codec of its actions.
        latents: Columns of latents in replay; empty if replay stores none. Recordings have no
            latents, so these are 0, as before an episode, until an update has refreshed them.
        clip_observations: Whether observations are clipped to the bounds of their space.
        skip_damaged: Whether to log episodes that cannot be read or do not fit, and continue.

    Yields:
        The records of one episode, with its return and length if it is complete.

    Raises:
        DataError: If a dataset's spaces differ; or if an episode cannot be read or does not fit,
            unless ``skip_damaged`` is set.
    """
    stream, position = 0, 0
    for dataset in datasets:
        _check_spaces(dataset, observations.space, actions.space)
        bounds = ObservationBounds(observations.space, dataset.place, clip=clip_observations)
        for episode in dataset.episodes(skip_damaged=skip_damaged):
            try:
                columns = records_of(episode, observations, actions, bounds)
            except DataError as error:
                if not skip_damaged:
                    raise
                logger.warning("Skipped an episode. %s", error)
                continue
            records = len(episode) + episode.ended
            columns |= {
                name: np.zeros((records, *spec.shape), spec.dtype) for name, spec in latents.items()
            }
            if not episode.from_reset:
                stream, position = stream + 1, 0
            yield RecordChunk(recorded_stream(stream), position, columns, _ended(episode))
            position += records
            if not episode.ended:
                stream, position = stream + 1, 0


def _ended(episode: Episode) -> tuple[EndedEpisode, ...]:
    if not (episode.ended and episode.from_reset):
        return ()
    return (EndedEpisode(float(np.sum(episode.rewards)), len(episode)),)


def _check_spaces(dataset: Dataset, observation: gym.Space, action: gym.Space) -> None:
    """Raise DataError if a part of the environment's spaces is not recorded, or differs."""
    if dataset.spaces is None:
        return
    for what, recorded, wanted in (
        ("observation", dataset.spaces.observation, observation),
        ("action", dataset.spaces.action, action),
    ):
        there = dict(paths(recorded))
        for path, part in paths(wanted):
            found = there.get(path)
            if found is None:
                known = ", ".join("/".join(map(str, one)) or "(no keys)" for one in there)
                raise DataError(
                    f"{place(what, path, begins=True)} is not in {dataset.place}, which has "
                    f"{known}."
                )
            if _kind(found) != _kind(part):
                raise DataError(
                    f"{place(what, path, begins=True)} is {part} in the environment, but {found} "
                    f"in {dataset.place}."
                )


def _kind(space: gym.Space) -> tuple[Any, ...]:
    """Return the properties that must be equal; bounds of a Box may differ."""
    if isinstance(space, spaces.Box):
        pixels = space.dtype == np.uint8
        return "Box", space.shape, pixels
    if isinstance(space, spaces.Discrete):
        return "Discrete", int(space.n), int(space.start)
    if isinstance(space, spaces.MultiDiscrete):
        return "MultiDiscrete", space.nvec.tolist(), np.asarray(space.start).tolist()
    return type(space).__name__, space.shape
