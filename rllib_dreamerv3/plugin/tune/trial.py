"""The trial of Ray Tune that an algorithm runs in."""

from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.tune.result import STDERR_FILE, STDOUT_FILE

from rllib_dreamerv3.plugin.checkpoints.location import CheckpointPlace

# What Tune's `reset` has opened for the new trial before it calls `reset_config`.
OPEN_FILES = (
    "_stdout_context",
    "_stdout_fp",
    "_stdout_stream",
    "_stderr_context",
    "_stderr_fp",
    "_stderr_stream",
    "_stderr_logging_handler",
)


class Trial:
    """Where a trial's results, checkpoints and log files are."""

    def __init__(self, algorithm: Algorithm, options: Any):
        """Belongs to an algorithm.

        Args:
            algorithm: May still be under construction.
            options: The config as Tune passes it: it hides the names of log files among the
                options, where RLlib's config loses them.
        """
        self._algorithm = algorithm
        options = options if isinstance(options, dict) else {}
        self._log_names = (options.get(STDOUT_FILE), options.get(STDERR_FILE))

    @property
    def place(self) -> CheckpointPlace | None:
        """Where Tune keeps the trial; None without Tune."""
        storage = self._algorithm._storage
        if storage is None:
            return None
        return CheckpointPlace.of(storage.trial_fs_path, storage.storage_filesystem)

    @property
    def directory(self) -> Path:
        """The trial's directory if it is on this machine, else the algorithm's log directory.

        Not the working directory, which Tune deletes.
        """
        place = self.place
        local = place is not None and place.filesystem is None
        return Path(place.path if place and local else self._algorithm.logdir)

    def log_files(self, stdout: str | None, stderr: str | None) -> list[str | None]:
        """Returns the paths of log files in the trial's directory, and creates that.

        Args:
            stdout: Name of the file for standard output; None for the one of the options.
            stderr: The same for standard error.
        """
        names = (stdout or self._log_names[0], stderr or self._log_names[1])
        if any(names):
            self.directory.mkdir(parents=True, exist_ok=True)
        return [name and str(self.directory / Path(name).expanduser()) for name in names]
