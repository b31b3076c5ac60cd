"""Writes the dreams of a running algorithm to its trial's results."""

import logging

from rllib_dreamerv3.plugin.checkpointing import CheckpointedAlgorithm
from rllib_dreamerv3.reports.dream_files import write_report
from rllib_dreamerv3.reports.dreams import Dream

PICTURES = "reports"
"""Key of the results under which the files of dreams are."""

logger = logging.getLogger(__name__)


def report_dream(algorithm: CheckpointedAlgorithm, dream: Dream, update: int) -> dict[str, str]:
    """Writes the files of :func:`write_report`, elsewhere too if Tune keeps the trial elsewhere.

    A picture that cannot be written ends no run: that is said, and training goes on.

    Args:
        algorithm: Whose dream it is.
        dream: What to report.
        update: Number of updates so far.

    Returns:
        Where the files are, by their names in the results; empty if they could not be written.
    """
    directory, place = algorithm.run_directory, algorithm.trial_place
    try:
        files = write_report(directory, dream, update)
        if place is None or place.filesystem is None:
            return {name: str(path) for name, path in files.items()}
        return {
            name: place.upload(path, path.relative_to(directory).as_posix())
            for name, path in files.items()
        }
    # imageio and ffmpeg raise the latter, e.g. where there is no ffmpeg for a machine.
    except (OSError, RuntimeError) as error:
        logger.warning(
            "The dream of update %d could not be written to %s: %s", update, directory, error
        )
        return {}
