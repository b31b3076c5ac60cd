"""All that is wrong with a trial, from everything in its directory."""

from pathlib import Path

from rllib_dreamerv3.checkpoints.runs import newest_complete
from rllib_dreamerv3.reports.finding import Finding
from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import History
from rllib_dreamerv3.reports.replay_findings import replay_findings


def trial_findings(directory: Path, history: History) -> list[Finding]:
    """Looks at a trial's results, and at the replay of its newest whole checkpoint.

    Args:
        directory: The trial's.
        history: Its results.

    Returns:
        What looks wrong.

    Raises:
        CheckpointError: If the replay cannot be read.
    """
    found = list(findings(history))
    saved, _ = newest_complete(directory)
    if saved is None:
        return found
    # It names the parts of observations, where results only say that none has changed.
    of_replay = list(replay_findings(saved.path))
    named = {finding.name for finding in of_replay}
    return [finding for finding in found if finding.name not in named] + of_replay
