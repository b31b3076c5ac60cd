"""What Tune asks of an algorithm beside training: its directory, log files, and another trial."""

from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.tune.result import STDERR_FILE, STDOUT_FILE

from rllib_dreamerv3.plugin.checkpoints.location import CheckpointPlace

# What Tune's `reset` has opened for the new trial before it calls `reset_config`.
_OPEN_FILES = (
    "_stdout_context",
    "_stdout_fp",
    "_stdout_stream",
    "_stderr_context",
    "_stderr_fp",
    "_stderr_stream",
    "_stderr_logging_handler",
)


class TunedAlgorithm(Algorithm):
    """An algorithm that logs where its trial's results are, and can go over to another trial."""

    def __init__(self, config: Any = None, env: Any = None, **kwargs: Any):
        """Takes what RLlib's algorithms take."""
        # Tune hides them among the options, where RLlib's config loses them.
        options = config if isinstance(config, dict) else {}
        self._log_names = (options.get(STDOUT_FILE), options.get(STDERR_FILE))
        super().__init__(config, env, **kwargs)

    @property
    def run_directory(self) -> Path:
        """The trial's directory where it is on this machine, else where the algorithm logs to.

        Tune gives a trial another working directory, which it throws away.
        """
        place = self.trial_place
        return Path(place.path if place and place.filesystem is None else self.logdir)

    @property
    def trial_place(self) -> CheckpointPlace | None:
        """Where Tune keeps the trial; None without Tune."""
        if self._storage is None:
            return None
        return CheckpointPlace.of(self._storage.trial_fs_path, self._storage.storage_filesystem)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turns into the algorithm of another trial in the same process, for ``reuse_actors``.

        Nothing of the old trial stays, its replay neither; what is saved is the start of a process
        and the imports. Called by Tune.

        Args:
            new_config: Options of the new trial.

        Returns:
            True: that is always possible.

        Raises:
            ConfigError: If the options are wrong.
        """
        kept = {name: getattr(self, name) for name in _OPEN_FILES}
        storage = self._storage
        if self._monitor.is_alive():
            self._monitor.stop()
            self._monitor.join()
        self.cleanup()
        self.__dict__.clear()
        begin_anew: Any = self.__init__  # type: ignore[misc]
        begin_anew(new_config, storage=storage)
        self.__dict__.update(kept)
        return True

    def _open_logfiles(self, stdout_file: str | None, stderr_file: str | None) -> None:
        """Opens them in the trial's directory; Tune would in one that it throws away."""
        names = (stdout_file or self._log_names[0], stderr_file or self._log_names[1])
        directory = self.run_directory
        if any(names):
            directory.mkdir(parents=True, exist_ok=True)
        paths = [name and str(directory / Path(name).expanduser()) for name in names]
        super()._open_logfiles(*paths)
