"""Findings about the records in a checkpoint's replay."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rllib_dreamerv3.checkpoints.files import REPLAY_DIRECTORY
from rllib_dreamerv3.records import OBS_PREFIX
from rllib_dreamerv3.replay.saved_sequences import SavedSequences
from rllib_dreamerv3.reports.finding import Finding

# Records to inspect.
_RECORDS = 1000
_MIN_RECORDS = 100


def replay_findings(checkpoint: Path) -> Iterator[Finding]:
    """Yield the findings about a checkpoint's records.

    Args:
        checkpoint: A verified checkpoint. No code from it is executed.

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
        if len(column) < _MIN_RECORDS:
            continue
        values = column.reshape(len(column), -1)
        constant = (values == values[0]).all(0)
        if constant.all():
            yield Finding(
                "Observations never change",
                f"{name} is equal in all {len(column):,} inspected records: {_few(values[0])}.",
                "Check what the environment returns: rllib check-env.",
            )
        elif not np.isfinite(values.astype(np.float64)).all():
            yield Finding(
                "Records that are not finite",
                f"{name} contains NaN or infinity.",
                "Fix the environment and start a new run: such records make updates diverge.",
            )


def _few(values: np.ndarray) -> str:
    shown = ", ".join(f"{x:.4g}" for x in values[:4].astype(float))
    return f"{shown}, ..." if len(values) > 4 else shown
