"""Minari datasets (https://minari.farama.org), read and written with the package ``minari``."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from packaging.version import Version

from rllib_dreamerv3.data.dataset import Dataset
from rllib_dreamerv3.data.episode import Episode
from rllib_dreamerv3.errors import DataError, describe
from rllib_dreamerv3.options.paths import MINARI
from rllib_dreamerv3.spaces.codecs import Spaces

# Number of episodes that are in memory at a time while a dataset is written.
_EPISODES = 100
# Older versions always store images with loss.
_MIN_VERSION = "0.5.4"


class MinariData(Dataset):
    """A Minari dataset on this machine."""

    format = "Minari dataset"

    def __init__(self, path: Path):
        """Open a dataset.

        Args:
            path: Its directory, which contains ``data/metadata.json``.

        Raises:
            DataError: If it is damaged, or the package ``minari`` is missing or too old.
        """
        self.place = str(path)
        try:
            self._data = _minari().MinariDataset(path / "data")
        except Exception as error:
            raise DataError(
                f"The Minari dataset {path} cannot be opened: {describe(error)}"
            ) from error
        self.spaces = Spaces(self._data.observation_space, self._data.action_space)
        spec = self._data.env_spec
        self.env = None if spec is None else spec.id

    @classmethod
    def of_id(cls, name: str) -> "MinariData":
        """Open a dataset in Minari's local directory.

        Args:
            name: Its id, such as ``pointmaze/umaze-v2``.

        Raises:
            DataError: If there is no such dataset, or the package ``minari`` is missing.
        """
        minari = _minari()
        found = minari.list_local_datasets()
        if name not in found:
            there = f" There are {', '.join(sorted(found))}." if found else ""
            raise DataError(
                f"There is no Minari dataset {name!r} on this machine.{there} Download it with: "
                f"minari download {name}"
            )
        return cls(Path(minari.load_dataset(name).spec.data_path).parent)

    def parts(self) -> Sequence[str]:
        return [str(index) for index in self._data.episode_indices]

    def read(self, part: str) -> Iterator[Episode]:
        source = f"episode {part} of {self.place}"
        try:
            (found,) = self._data.iterate_episodes([int(part)])
            episode = Episode(
                found.observations,
                found.actions,
                np.asarray(found.rewards, np.float64),
                terminated=bool(len(found) and found.terminations[-1]),
                truncated=bool(len(found) and found.truncations[-1]),
                source=source,
            )
        except Exception as error:
            raise DataError(f"{source} cannot be read: {describe(error)}") from error
        yield episode


def write_minari(
    name: str, episodes: Iterable[Episode], spaces: Spaces, env: str | None
) -> tuple[int, int]:
    """Write a Minari dataset to Minari's local directory.

    Images are stored without loss. Minari takes only complete episodes; others are left out.

    Args:
        name: Id of the dataset, such as ``cartpole/medium-v0``.
        episodes: Its episodes.
        spaces: Spaces of a single environment.
        env: Id of the environment in Gymnasium, from which Minari can create it; None without one.

    Returns:
        Numbers of episodes and env steps.

    Raises:
        DataError: If there are no episodes, a dataset of that id exists, the id is invalid, or the
            package ``minari`` is missing or too old.
    """
    minari = _minari()
    try:
        # Minari would create a directory before it fails, and its other functions would fail there.
        minari.dataset.minari_dataset.parse_dataset_id(name)
    except ValueError as error:
        raise DataError(str(error)) from error
    if name in minari.list_local_datasets():
        raise DataError(f"There is a Minari dataset {name!r} already. Choose another id.")
    dataset, numbers = None, [0, 0]
    try:
        for batch in _batches(filter(lambda x: x.ended and x.from_reset, episodes)):
            buffers = [_buffer_of(x, numbers[0] + i) for i, x in enumerate(batch)]
            if dataset is None:
                dataset = minari.create_dataset_from_buffers(
                    name,
                    buffers,
                    env=env if env in gym.registry else None,
                    observation_space=spaces.observation,
                    action_space=spaces.action,
                    algorithm_name="DreamerV3 (rllib_dreamerv3)",
                    description="Recorded with rllib_dreamerv3.",
                    jpeg_encoding=False,
                )
            else:
                dataset.update_dataset_from_buffer(buffers)
            numbers[0] += len(batch)
            numbers[1] += sum(map(len, batch))
    except BaseException as error:
        # Part of a dataset would look like a complete one, also after Ctrl-C.
        shutil.rmtree(minari.storage.get_dataset_path(name), ignore_errors=True)
        if isinstance(error, DataError) or not isinstance(error, Exception):
            raise
        raise DataError(
            f"The Minari dataset {name!r} cannot be written: {describe(error)}"
        ) from error
    if dataset is None:
        raise DataError("There is no complete episode to write.")
    return numbers[0], numbers[1]


def _buffer_of(episode: Episode, number: int) -> Any:
    ends = np.zeros(len(episode), bool)
    terminations, truncations = ends.copy(), ends.copy()
    terminations[-1], truncations[-1] = episode.terminated, episode.truncated
    return _minari().data_collector.EpisodeBuffer(
        id=number,
        observations=episode.observations,
        actions=episode.actions,
        rewards=episode.rewards,
        terminations=terminations,
        truncations=truncations,
    )


def _batches(episodes: Iterable[Episode]) -> Iterator[list[Episode]]:
    batch: list[Episode] = []
    for episode in episodes:
        batch.append(episode)
        if len(batch) == _EPISODES:
            yield batch
            batch = []
    if batch:
        yield batch


def _minari() -> Any:
    needed = (
        f"{MINARI} datasets need the package minari, version {_MIN_VERSION} or newer, and Python "
        f"3.11 or newer: pip install 'minari[hdf5]>={_MIN_VERSION}'"
    )
    try:
        import minari
        import minari.data_collector
    except ImportError as error:
        raise DataError(needed) from error
    if Version(minari.__version__) < Version(_MIN_VERSION):
        raise DataError(f"{needed}. Version {minari.__version__} is installed.")
    return minari
