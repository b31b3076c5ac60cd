"""Records a divergence of training: the batch, the last metrics and the networks."""

import csv
import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rllib_dreamerv3.agent.networks.model import Weights
from rllib_dreamerv3.checkpoints import tensors
from rllib_dreamerv3.checkpoints.directory import replacing
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import Columns

# Number of updates whose metrics are kept.
KEPT_UPDATES = 100
# Limit on recordings, for divergence that continues with on_divergence "ignore".
MAX_RECORDINGS = 10

BATCH, METRICS, NETWORKS, SUMMARY = (
    "batch.npz",
    "metrics.csv",
    "networks.safetensors",
    "summary.json",
)


class FlightRecorder:
    """Keeps the metrics of the last updates, and writes them to files when training diverges."""

    def __init__(self) -> None:
        self._metrics: deque[tuple[int, int, Mapping[str, np.ndarray]]] = deque(maxlen=KEPT_UPDATES)

    def note(self, update: int, env_steps: int, metrics: Mapping[str, np.ndarray]) -> None:
        """Add the metrics of an update, and drop those of the oldest.

        Args:
            update: Number of the update.
            env_steps: Env steps sampled before it.
            metrics: Scalars by name; not copied.
        """
        self._metrics.append((update, env_steps, metrics))

    def is_full(self, parent: Path) -> bool:
        """Whether a directory has reached the limit on recordings."""
        return len(list(parent.glob("update_*"))) >= MAX_RECORDINGS

    def write(
        self, parent: Path, batch: Columns, weights: Weights, summary: Mapping[str, Any]
    ) -> Path:
        """Write a directory ``update_<number>`` for the last update, atomically.

        It has ``batch.npz`` (record columns), ``metrics.csv`` (a row for each of the last 100
        updates), ``networks.safetensors`` and ``summary.json``.

        Args:
            parent: Parent of the directory; created if necessary.
            batch: Record columns ``[B, K+T, ...]`` of the update.
            weights: The networks after the update.
            summary: Additional content of the summary, as JSON, to the update's number, env steps,
                and the names of the metrics that are not finite.

        Returns:
            The directory.

        Raises:
            OSError: If the disk is full, or writing is not permitted.
        """
        update, env_steps, metrics = self._metrics[-1]
        target = _free_name(parent / f"update_{update:08d}")
        content = {
            "update": update,
            "env_steps": env_steps,
            "not_finite": not_finite(metrics),
            **summary,
        }
        with replacing(target, lambda _: None) as directory:
            arrays: dict[str, Any] = {name: np.asarray(x) for name, x in batch.items()}
            np.savez(directory / BATCH, **arrays)
            self._write_metrics(directory / METRICS)
            try:
                tensors.save(directory / NETWORKS, weights)
            except CheckpointError as error:
                content["networks"] = str(error)
            text = json.dumps(content, indent=1) + "\n"
            (directory / SUMMARY).write_text(text, encoding="utf-8")
        return target

    def _write_metrics(self, path: Path) -> None:
        rows = [
            {"update": update, "env_steps": env_steps}
            | {name: float(value) for name, value in metrics.items()}
            for update, env_steps, metrics in self._metrics
        ]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[-1]))
            writer.writeheader()
            writer.writerows(rows)


def not_finite(metrics: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of the scalars that are infinite or NaN."""
    return [name for name, value in metrics.items() if not np.isfinite(value)]


def _free_name(path: Path) -> Path:
    """Return a name that does not exist: a rewound run may reach the same update again."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}_{number}")
    return free
