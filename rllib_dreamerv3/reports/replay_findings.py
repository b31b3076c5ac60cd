"""What is wrong with the records of a run, from the replay of a checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rllib_dreamerv3.checkpoints.files import REPLAY_DIRECTORY
from rllib_dreamerv3.records import OBS_PREFIX
from rllib_dreamerv3.replay.saved_sequences import SavedSequences
from rllib_dreamerv3.reports.finding import Finding

# So many tell whether anything changes.
_RECORDS = 1000
_FEWEST_RECORDS = 100


def replay_findings(checkpoint: Path) -> Iterator[Finding]:
    """Yields what is wrong with the records of a checkpoint.

    Args:
        checkpoint: One that was verified. Nothing of it is executed.

    Yields:
        Findings.

    Raises:
        CheckpointError: If its replay cannot be read.
    """
    saved = SavedSequences(checkpoint / REPLAY_DIRECTORY)
    for name in saved.specs:
        if not name.startswith(OBS_PREFIX):
            continue
        column = saved.spread(name, _RECORDS)
        if len(column) < _FEWEST_RECORDS:
            continue
        values = column.reshape(len(column), -1)
        constant = (values == values[0]).all(0)
        if constant.all():
            yield Finding(
                "Observations never change",
                f"{name} is the same in all of {len(column):,} records: {_few(values[0])}.",
                "Look at what the environment returns: rllib check-env.",
            )
        elif not np.isfinite(values.astype(np.float64)).all():
            yield Finding(
                "Records that are not finite",
                f"{name} holds NaN or infinity.",
                "Begin a new run: such records destroy the networks.",
            )


def _few(values: np.ndarray) -> str:
    shown = ", ".join(f"{x:.4g}" for x in values[:4].astype(float))
    return f"{shown}, ..." if len(values) > 4 else shown
