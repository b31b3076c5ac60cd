"""Components of RLlib's checkpoints stored as plain files: replay, arrays, counters."""

import json
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs
from ray.rllib.utils.checkpoints import Checkpointable

from rllib_dreamerv3.checkpoints import counters_file, tensors
from rllib_dreamerv3.checkpoints.counters_file import COUNTERS_FILE
from rllib_dreamerv3.checkpoints.files import ARRAYS_FILE
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.plugin.checkpoints.location import CheckpointLocation
from rllib_dreamerv3.replay import checkpoint as replay_checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer

COMPONENT_COUNTERS = counters_file.COUNTERS_DIRECTORY


class FileComponent(Checkpointable):
    """A component of RLlib's checkpoints that reads and writes its own files."""

    @abstractmethod
    def write(self, directory: Path, state: Any) -> None:
        """Write files to an existing directory: ``state``, or the current state if None."""

    @abstractmethod
    def read(self, directory: Path) -> None:
        """Replace the current state by that of the files."""

    def save_to_path(
        self,
        path: str | Path | None = None,
        *,
        state: Any = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        use_msgpack: bool = False,
    ) -> str:
        """Write the files to a directory.

        Raises:
            CheckpointError: If the directory holds other files, or the state is not finite.
            OSError: If the disk is full, or writing is not permitted.
        """
        if path is None:
            raise ValueError(f"{type(self).__name__}.save_to_path() needs a directory.")
        location = CheckpointLocation.of(path, filesystem)
        with location.writing(self.own_files) as directory:
            self.write(directory, state)
        return str(location)

    @abstractmethod
    def own_files(self, directory: Path) -> Collection[str] | None:
        """Names of such files in an existing directory; None if it holds none."""

    def restore_from_path(
        self,
        path: str | Path,
        *,
        component: str | None = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        **kwargs: Any,
    ) -> None:
        """Restore from the files of a directory.

        Raises:
            CheckpointError: If the directory is damaged or does not fit. Nothing changes then.
        """
        with CheckpointLocation.of(path, filesystem).reading() as directory:
            self.read(directory)

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return nothing: the state is only in the files."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Do nothing: the state is only in the files."""

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # Created by its owner, never from a checkpoint alone.
        return (), {}


class ReplayFiles(FileComponent):
    """The replay buffer; see ``replay/checkpoint.py`` for its files.

    A pickled state would be a second copy of the buffer in memory, which may not fit.
    """

    def __init__(self, buffer: ReplayBuffer):
        self.buffer = buffer

    def write(self, directory: Path, state: Any) -> None:
        replay_checkpoint.save(self.buffer, directory)

    def own_files(self, directory: Path) -> Collection[str] | None:
        return replay_checkpoint.files_of_replay(directory)

    def read(self, directory: Path) -> None:
        replay_checkpoint.load(self.buffer, directory)


class ArrayFiles(FileComponent):
    """Arrays by name in ``arrays.safetensors``: networks, or optimizers and normalisers."""

    def __init__(
        self,
        get: Callable[[], dict[str, np.ndarray]],
        set_: Callable[[dict[str, np.ndarray]], None],
    ):
        """Wrap a getter and a setter.

        Args:
            get: Returns all arrays.
            set_: Sets all arrays; raises ValueError, and changes nothing, if they do not fit.
        """
        self._get, self._set = get, set_

    def write(self, directory: Path, state: dict[str, np.ndarray] | None) -> None:
        tensors.save(directory / ARRAYS_FILE, self._get() if state is None else state)

    def own_files(self, directory: Path) -> Collection[str] | None:
        return {ARRAYS_FILE} if (directory / ARRAYS_FILE).is_file() else None

    def read(self, directory: Path) -> None:
        path = directory / ARRAYS_FILE
        try:
            self._set(tensors.load(path))
        except (ValueError, KeyError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{path} does not fit. {error}") from error


class CounterFiles(FileComponent):
    """Counters in ``counters.json``: the algorithm's state outside of its components."""

    def __init__(
        self, get: Callable[[], dict[str, Any]], set_: Callable[[Mapping[str, Any]], None]
    ):
        self._get, self._set = get, set_

    def write(self, directory: Path, state: dict[str, Any] | None) -> None:
        content = json.dumps(self._get() if state is None else state, indent=1, allow_nan=False)
        (directory / COUNTERS_FILE).write_text(content + "\n", encoding="utf-8")

    def own_files(self, directory: Path) -> Collection[str] | None:
        return {COUNTERS_FILE} if (directory / COUNTERS_FILE).is_file() else None

    def read(self, directory: Path) -> None:
        self._set(counters_file.read(directory))
