"""Collects the findings of a trial."""

from pathlib import Path

from rllib_dreamerv3.checkpoints.runs import newest_complete
from rllib_dreamerv3.reports.finding import Finding
from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import History
from rllib_dreamerv3.reports.replay_findings import replay_findings


def trial_findings(directory: Path, history: History) -> list[Finding]:
    """Return the findings in a trial's results, and in replay of its newest valid checkpoint.

    Args:
        directory: The trial's directory.
        history: Its results.

    Raises:
        CheckpointError: If the replay cannot be read.
    """
    found = list(findings(history))
    saved, _ = newest_complete(directory)
    if saved is None:
        return found
    # Replay shows which part of an observation is constant; results only that all are.
    of_replay = list(replay_findings(saved.path))
    named = {finding.name for finding in of_replay}
    return [finding for finding in found if finding.name not in named] + of_replay
