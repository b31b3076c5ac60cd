"""The replay buffer as RLlib knows it: a component of the algorithm's checkpoints."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.fs
from ray.rllib.utils.checkpoints import Checkpointable

from rllib_dreamerv3.replay import checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer

COMPONENT_REPLAY_BUFFER = "replay_buffer"


class ReplayComponent(Checkpointable):
    """Saves and restores a buffer as plain array files instead of a pickled state.

    A pickled state would be a second copy of the buffer in memory, for which there may be no room.
    """

    def __init__(self, buffer: ReplayBuffer):
        """Wraps a buffer."""
        self.buffer = buffer

    def save_to_path(
        self,
        path: str | Path | None = None,
        *,
        state: Any = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        use_msgpack: bool = False,
    ) -> str:
        """Writes the buffer's files to a directory.

        Raises:
            CheckpointError: If the directory holds something else.
        """
        if path is None:
            raise ValueError("The replay buffer needs a directory to be saved to.")
        if filesystem is None or isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            checkpoint.save(self.buffer, path)
            return str(path)
        with tempfile.TemporaryDirectory() as local:
            checkpoint.save(self.buffer, Path(local) / COMPONENT_REPLAY_BUFFER)
            pyarrow.fs.copy_files(
                str(Path(local) / COMPONENT_REPLAY_BUFFER),
                str(path),
                destination_filesystem=filesystem,
            )
        return str(path)

    def restore_from_path(
        self,
        path: str | Path,
        *,
        component: str | None = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        **kwargs: Any,
    ) -> None:
        """Replaces the buffer's content by that of a directory.

        Raises:
            CheckpointError: If the directory is damaged or does not fit; the buffer is unchanged.
        """
        if filesystem is None or isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            checkpoint.load(self.buffer, path)
            return
        with tempfile.TemporaryDirectory() as local:
            pyarrow.fs.copy_files(str(path), local, source_filesystem=filesystem)
            checkpoint.load(self.buffer, local)

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Empty; the files hold everything."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Does nothing; the files hold everything."""

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The buffer is created by the algorithm, never from a checkpoint alone."""
        return (), {}
