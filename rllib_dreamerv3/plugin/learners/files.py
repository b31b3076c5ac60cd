"""Checkpoints of remote learners, with the same files as a local learner writes.

A learner may be on another machine than the checkpoint. It writes the files locally, and their
contents are transferred.
"""

import tempfile
from pathlib import Path
from typing import Any

import ray
from ray.rllib.core import COMPONENT_LEARNER
from ray.rllib.core.learner.learner_group import LearnerGroup
from ray.rllib.utils.checkpoints import Checkpointable

from rllib_dreamerv3.plugin.checkpoints.location import CheckpointLocation
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner

# Path within the component -> content.
Files = dict[str, bytes]


class LearnerFiles(Checkpointable):
    """The checkpoint component of a group's learners, which all have the same state."""

    def __init__(self, group: LearnerGroup):
        self._group = group

    def save_to_path(
        self,
        path: str | Path | None = None,
        *,
        state: Any = None,
        filesystem: Any = None,
        use_msgpack: bool = False,
    ) -> str:
        """Write the files of one learner.

        Raises:
            CheckpointError: If the directory holds other files, or the networks are not finite.
            OSError: If the disk is full, or writing is not permitted.
        """
        if path is None:
            raise ValueError("LearnerFiles.save_to_path() needs a directory.")
        given = ray.put(state)
        (answer, *_) = self._group.foreach_learner(
            lambda learner: _saved(learner, ray.get(given), use_msgpack), remote_actor_ids=[0]
        )
        files: Files = answer.get()
        location = CheckpointLocation.of(path, filesystem)
        with location.writing(
            lambda there: files.keys() if (there / self.METADATA_FILE_NAME).is_file() else None
        ) as directory:
            _write(directory, files)
        return str(location)

    def restore_from_path(
        self,
        path: str | Path,
        *,
        component: str | None = None,
        filesystem: Any = None,
        **kwargs: Any,
    ) -> None:
        """Restore all learners from the files.

        Raises:
            CheckpointError: If a file is missing, damaged or of another model.
        """
        with CheckpointLocation.of(path, filesystem).reading() as directory:
            files = ray.put(_read(directory))
        self._group.foreach_learner(
            lambda learner: _restore(learner, ray.get(files), component, kwargs)
        )

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state: dict[str, Any] = self._group.get_state()[COMPONENT_LEARNER]
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        self._group.set_state({COMPONENT_LEARNER: state})

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # Created by its group, never from a checkpoint alone.
        return (), {}


def _saved(learner: DreamerV3Learner, state: Any, use_msgpack: bool) -> Files:
    with tempfile.TemporaryDirectory() as directory:
        learner.save_to_path(directory, state=state, use_msgpack=use_msgpack)
        return _read(Path(directory))


def _restore(
    learner: DreamerV3Learner, files: Files, component: str | None, options: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        _write(Path(directory), files)
        learner.restore_from_path(directory, component=component, **options)


def _read(directory: Path) -> Files:
    files = [x for x in directory.rglob("*") if x.is_file()]
    return {x.relative_to(directory).as_posix(): x.read_bytes() for x in files}


def _write(directory: Path, files: Files) -> None:
    for name, content in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
