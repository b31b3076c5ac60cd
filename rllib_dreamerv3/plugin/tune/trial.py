"""The trial of Ray Tune that an algorithm runs in."""

from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.tune.result import STDERR_FILE, STDOUT_FILE

from rllib_dreamerv3.plugin.checkpoints.location import CheckpointLocation

# Tune's `reset` opens these for the new trial before it calls `reset_config`.
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
    """Locations of a trial's results, checkpoints and log files."""

    def __init__(self, algorithm: Algorithm, options: Any):
        """Attach to an algorithm.

        Args:
            algorithm: May still be under construction.
            options: The config as Tune passes it. It includes the names of log files, which are
                not in RLlib's config.
        """
        self._algorithm = algorithm
        options = options if isinstance(options, dict) else {}
        self._log_names = (options.get(STDOUT_FILE), options.get(STDERR_FILE))

    @property
    def location(self) -> CheckpointLocation | None:
        """Where Tune keeps the trial; None without Tune."""
        storage = self._algorithm._storage
        if storage is None:
            return None
        return CheckpointLocation.of(storage.trial_fs_path, storage.storage_filesystem)

    @property
    def directory(self) -> Path:
        """The trial's directory if it is local, else the algorithm's log directory.

        Not the working directory, which Tune deletes.
        """
        location = self.location
        local = location is not None and location.filesystem is None
        return Path(location.path if location and local else self._algorithm.logdir)

    def log_files(self, stdout: str | None, stderr: str | None) -> list[str | None]:
        """Return the paths of log files in the trial's directory, which it creates.

        Args:
            stdout: Name of the file for standard output; None for that of the options.
            stderr: Name of the file for standard error, likewise.
        """
        names = (stdout or self._log_names[0], stderr or self._log_names[1])
        if any(names):
            self.directory.mkdir(parents=True, exist_ok=True)
        return [name and str(self.directory / Path(name).expanduser()) for name in names]
