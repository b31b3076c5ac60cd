"""Collects the findings of a trial."""

import re
from pathlib import Path

from rllib_dreamerv3.checkpoints.runs import newest_complete
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.finding import Finding
from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import RESULTS_FILE, History
from rllib_dreamerv3.reports.replay_findings import replay_findings
from rllib_dreamerv3.reports.run_files import read_text

ERROR_FILE = "error.txt"
"""Written by Tune into the directory of a trial that failed."""
MAX_ERROR_BYTES = 1_000_000

_MAX_SHOWN = 1000
# The line of a traceback with the exception.
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b", re.MULTILINE)


def trial_findings(directory: Path, history: History) -> list[Finding]:
    """Return a trial's failure, and findings in its results and its newest checkpoint's replay.

    Args:
        directory: The trial's directory.
        history: Its results.

    Raises:
        CheckpointError: If the replay cannot be read.
    """
    failure = _failure(directory)
    found = [*([failure] if failure else []), *findings(history)]
    saved, _ = newest_complete(directory)
    if saved is None:
        return found
    # Replay shows which part of an observation is constant; results only that all are.
    of_replay = list(replay_findings(saved.path))
    named = {finding.name for finding in of_replay}
    return [finding for finding in found if finding.name not in named] + of_replay


def _failure(directory: Path) -> Finding | None:
    """Return the error that ended the trial, unless it has continued since."""
    path = directory / ERROR_FILE
    try:
        text = read_text(path, directory, MAX_ERROR_BYTES)
        if path.stat().st_mtime < (directory / RESULTS_FILE).stat().st_mtime:
            return None
    except (OSError, ValueError, CheckpointError):
        return None
    exceptions = list(_EXCEPTION.finditer(text))
    message = text[exceptions[-1].start() if exceptions else 0 :].strip()
    # Only the class of an exception, not its module.
    message = re.sub(r"^(?:\w+\.)+", "", message) or f"{ERROR_FILE} is empty."
    if len(message) > _MAX_SHOWN:
        message = f"{message[:_MAX_SHOWN]} ..."
    return Finding(
        "The run has failed",
        "\n  ".join(message.splitlines()),
        f"Remove the cause, then continue with --resume. {ERROR_FILE} has the traceback.",
    )
