"""RLlib's recorded episodes: Parquet files with one episode, or a part of one, in each row.

``.offline_data(output=...)`` of RLlib's algorithms writes them (Ray 2.60, new API stack): the
column ``item`` has the state of a ``SingleAgentEpisode``, packed with msgpack and msgpack_numpy.
"""

import contextlib
import itertools
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rllib_dreamerv3.data.dataset import Dataset
from rllib_dreamerv3.data.episode import Episode
from rllib_dreamerv3.data.pieces import consecutive_pieces, joined
from rllib_dreamerv3.errors import DataError, describe
from rllib_dreamerv3.spaces.codecs import Spaces
from rllib_dreamerv3.spaces.nesting import Batch
from rllib_dreamerv3.spaces.space_json import space_from_json, space_to_json

_ITEM = "item"
# Key of the spaces in the metadata of files that are written here; RLlib writes none.
_METADATA = b"rllib_dreamerv3"
# Keys in the ``custom_data`` of rows that are written here: the name of the episode of which a row
# is a piece, and whether the episode had not ended at the end of the row.
_NAME = "rllib_dreamerv3/episode"
_UNFINISHED = "rllib_dreamerv3/unfinished"
# Number of rows that are in memory at a time.
_ROWS = 8

logger = logging.getLogger(__name__)


class RllibEpisodes(Dataset):
    """Episodes in Parquet files, of any number and size."""

    format = "RLlib episodes"

    def __init__(self, place: Path, files: Sequence[Path]):
        """Read the spaces from the first file that can be read, if it has them.

        Args:
            place: Path that the user gave.
            files: The files, in the order in which they were written.
        """
        self.place = str(place)
        self._files = files
        for file in files:
            # Damaged ones are reported when they are read, or skipped.
            with contextlib.suppress(DataError):
                self.env, self.spaces = _described(file)
                break

    def parts(self) -> Sequence[str]:
        return list(map(str, self._files))

    def read(self, part: str) -> Iterator[Episode]:
        """Yield the rows of a file, which may be pieces of episodes."""
        for row, state in enumerate(_states(Path(part))):
            with _damage_named(Path(part), f"row {row}"):
                episode = _episode_of(state, f"row {row} of {part}")
            yield episode

    def episodes(self, *, skip_damaged: bool = False) -> Iterator[Episode]:
        # An episode may continue in the next file.
        for pieces in consecutive_pieces(super().episodes(skip_damaged=skip_damaged)):
            try:
                episode = joined(pieces)
            except DataError as error:
                if not skip_damaged:
                    raise
                logger.warning("Skipped an episode. %s", error)
                continue
            yield episode


class EpisodeWriter:
    """Writes episodes to Parquet files, as RLlib does.

    Each file is complete when it appears. RLlib's algorithms read them with ``.offline_data(
    input_=directory, input_read_episodes=True)``. They read only rows that have ended, so a row
    without the end of its episode is marked as truncated there, and as unfinished for our reader.

    Attributes:
        directory: Directory of the files.
    """

    def __init__(self, directory: str | Path, spaces: Spaces, env: str | None):
        """Create the directory.

        Args:
            directory: Directory of the files; others may be in it.
            spaces: Spaces of a single environment.
            env: Id of the environment; None if it has none.

        Raises:
            OSError: If the directory cannot be created.
        """
        self.directory = Path(directory).expanduser().absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        content = {
            "env": env,
            "observation_space": space_to_json(spaces.observation),
            "action_space": space_to_json(spaces.action),
        }
        metadata = {_METADATA: json.dumps(content).encode()}
        self._schema = pa.schema([pa.field(_ITEM, pa.binary())], metadata=metadata)
        self._prefix = f"episodes-{time.time_ns():x}-{os.getpid()}"
        self._numbers = itertools.count()

    def write(self, episodes: Sequence[Episode]) -> Path:
        """Write a file.

        Args:
            episodes: Its episodes, or pieces of episodes, at least one. The pieces of an episode
                have its name, which no other episode of this writer may have.

        Returns:
            The file.

        Raises:
            OSError: If it cannot be written; there is no file then.
        """
        number = next(self._numbers)
        path = self.directory / f"{self._prefix}-{number:06}.parquet"
        rows = [
            msgpack.packb(_state_of(x, self._prefix, f"{number}-{i}"), default=_pack_numpy)
            for i, x in enumerate(episodes)
        ]
        unfinished = path.with_suffix(".unfinished")
        try:
            table = pa.table({_ITEM: rows}, schema=self._schema)
            pq.write_table(table, unfinished, write_page_checksum=True)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path


def _described(file: Path) -> tuple[str | None, Spaces | None]:
    """Return the environment and spaces in a file's metadata; None for each without metadata."""
    with _damage_named(file):
        described = (pq.read_schema(file).metadata or {}).get(_METADATA)
        if described is None:
            return None, None
        content = json.loads(described)
        spaces = (content["observation_space"], content["action_space"])
        return content["env"], Spaces(*map(space_from_json, spaces))


@contextlib.contextmanager
def _damage_named(path: Path, where: str = "it") -> Iterator[None]:
    """Turn the errors of parsers into DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{path} is damaged, or holds no episodes of RLlib: {where} cannot be read "
            f"({describe(error)})."
        ) from error


def _states(path: Path) -> Iterator[Mapping[str, Any]]:
    with _damage_named(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        names = file.schema_arrow.names
    with file:
        if names != [_ITEM]:
            raise DataError(
                f"{path} has the columns {', '.join(names)} instead of episodes. Record with "
                ".offline_data(output_write_episodes=True), which is RLlib's default."
            )
        batches = file.iter_batches(batch_size=_ROWS)
        while True:
            with _damage_named(path):
                batch = next(batches, None)
            if batch is None:
                return
            for row in batch.column(0):
                with _damage_named(path, "a row"):
                    state = msgpack.unpackb(
                        row.as_py(), object_hook=_unpack_numpy, strict_map_key=False
                    )
                yield state


def _episode_of(state: Mapping[str, Any], source: str) -> Episode:
    """Convert the state of a ``SingleAgentEpisode``; any error means that it is damaged."""
    outputs = state["extra_model_outputs"] or {}
    custom = state["custom_data"] if isinstance(state.get("custom_data"), dict) else {}
    start = int(state["t_started"])
    # The actions that the environment received, if a connector has scaled the policy's actions.
    taken = outputs.get("actions_for_env", state["actions"])
    return Episode(
        _values(state["observations"]),
        _values(taken),
        np.asarray(_values(state["rewards"]), np.float64).reshape(-1),
        terminated=bool(state["is_terminated"]),
        truncated=bool(state["is_truncated"]) and not custom.get(_UNFINISHED),
        from_reset=not start,
        source=source,
        name=str(custom.get(_NAME, state["id_"])),
        start=start,
    )


def _values(buffer: Mapping[str, Any]) -> Batch:
    """Return the values of one of RLlib's buffers as arrays, without the lookback."""
    data, lookback = buffer["data"], int(buffer["lookback"])
    if not buffer["finalized"]:
        return _stacked(data[lookback:])
    return _each(lambda x: np.asarray(x)[lookback:], data)


def _stacked(items: Sequence[Any]) -> Batch:
    first = items[0] if items else 0.0
    if isinstance(first, dict):
        return {key: _stacked([item[key] for item in items]) for key in first}
    if isinstance(first, list | tuple):
        return tuple(_stacked([item[i] for item in items]) for i in range(len(first)))
    return np.asarray(items)


def _each(function: Any, value: Any) -> Any:
    """Apply a function to all leaves of a nested value; msgpack makes lists of tuples."""
    if isinstance(value, dict):
        return {key: _each(function, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_each(function, inner) for inner in value)
    return function(value)


def _state_of(episode: Episode, prefix: str, row: str) -> dict[str, Any]:
    """Return the state of a ``SingleAgentEpisode``."""
    steps = len(episode)
    return {
        # RLlib reads only one of several rows with the same id, and only rows that have ended.
        "id_": f"{prefix}-{row}",
        "agent_id": None,
        "module_id": None,
        "multi_agent_episode_id": None,
        "observations": _buffer(episode.observations),
        "actions": _buffer(episode.actions),
        "rewards": _buffer(episode.rewards),
        "infos": _buffer([{}] * (steps + 1)),
        "extra_model_outputs": None,
        "is_terminated": episode.terminated,
        "is_truncated": not episode.terminated,
        "t_started": episode.start,
        "t": episode.start + steps,
        "_observation_space": None,
        "_action_space": None,
        "_start_time": None,
        "_last_step_time": None,
        "custom_data": {
            _NAME: f"{prefix}-{episode.name or row}",
            _UNFINISHED: not episode.ended,
        },
    }


def _buffer(data: Any) -> dict[str, Any]:
    finalized = not isinstance(data, list)
    return {"data": data, "lookback": 0, "finalized": finalized, "space": None}


# Arrays are encoded as in msgpack_numpy. That package unpickles arrays of objects, which could
# execute code from an untrusted file; here they are read as None.


def _pack_numpy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        kind, data = value.dtype.str, value.tobytes()
        return {b"nd": True, b"type": kind, b"kind": b"", b"shape": value.shape, b"data": data}
    if isinstance(value, np.generic):
        return {b"nd": False, b"type": value.dtype.str, b"data": value.tobytes()}
    raise TypeError(f"{type(value).__name__} cannot be written")


def _unpack_numpy(value: dict[Any, Any]) -> Any:
    if b"nd" not in value:
        return value
    if value.get(b"kind") == b"O" or not isinstance(value[b"type"], str):
        return None
    array = np.frombuffer(value[b"data"], np.dtype(value[b"type"]))
    return array.reshape(value[b"shape"]).copy() if value[b"nd"] else array[0]
