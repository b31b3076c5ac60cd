"""Continues or ends a run after an update that is not finite, or after learners have died."""

import logging
from typing import Any, NoReturn

import numpy as np

from rllib_dreamerv3.errors import LearnerFailedError, LearnersLostError, TrainingDivergedError
from rllib_dreamerv3.plugin.checkpointed import CheckpointedAlgorithm
from rllib_dreamerv3.plugin.learners.group import ask_learner
from rllib_dreamerv3.records import Columns

MAX_REWINDS = 3
DIRECTORY = "diverged"

logger = logging.getLogger(__name__)


class Divergence:
    """Handles updates that are not finite, as ``on_divergence`` says.

    Attributes:
        ignored: Updates skipped since this process began.
        rewinds: Number of restores of an earlier checkpoint.
    """

    def __init__(self, algorithm: CheckpointedAlgorithm):
        self._algorithm = algorithm
        self.ignored = self.rewinds = 0

    def results(self) -> dict[str, int]:
        return {"num_updates_ignored": self.ignored, "num_rewinds": self.rewinds}

    def record(self, error: TrainingDivergedError, batch: Columns) -> None:
        """Write the flight recording; return if the update is to be ignored, else raise.

        Args:
            error: The learner's error. Of its networks, at most the world model has stepped.
            batch: Record columns ``[B, K+T, ...]`` of the update.

        Raises:
            TrainingDivergedError: Unless ``on_divergence`` is "ignore"; names the recording and
                the last valid checkpoint, and says what to do.
        """
        algorithm = self._algorithm
        if algorithm.config.on_divergence == "ignore":
            self.ignored += 1
            recording = self._write(batch, {})
            if recording is not None:
                logger.warning("%s It is ignored (on_divergence: ignore). %s", error, recording)
            return
        checkpoint = algorithm.last_checkpoint
        recording = self._write(batch, {"last_checkpoint": checkpoint})
        options = algorithm.config.learning_options().learning_rate_options
        names = ", ".join(dict.fromkeys(options.values()))
        good = (
            "No checkpoint was saved yet: start again"
            if checkpoint is None
            else f"The last good checkpoint is {checkpoint}: continue from it"
        )
        advice = (
            f"{good} with lower learning rates ({names}), or check the environment for extreme "
            "observations or rewards."
        )
        if invalid := _invalid_columns(batch):
            advice = (
                f"Replay holds values of {', '.join(invalid)} that are not finite, so a resumed "
                "run fails again. Continue from a checkpoint that was saved before, or from the "
                "networks of the last one (--from-checkpoint with --parts)."
            )
        raise TrainingDivergedError(
            f"{error} {recording or 'No recording was written: the limit is reached.'} {advice}"
        ) from error

    def _write(self, batch: Columns, summary: dict[str, Any]) -> str | None:
        """Write a recording; return a sentence about it, None if there are enough already."""
        directory = self._algorithm.trial.directory / DIRECTORY
        summary = {"on_divergence": self._algorithm.config.on_divergence, **summary}
        return ask_learner(
            self._algorithm.learner_group,
            lambda learner: learner.write_recording(directory, batch, summary),
        )

    def rewind(self, error: TrainingDivergedError) -> None:
        """Restore the last valid checkpoint; replay then draws other batches than before.

        Raises:
            TrainingDivergedError: ``error`` itself unless ``on_divergence`` is "rewind"; a more
                detailed one if there is no checkpoint, or after ``MAX_REWINDS`` rewinds.
        """
        algorithm = self._algorithm
        if algorithm.config.on_divergence != "rewind":
            raise error
        checkpoint = algorithm.last_checkpoint
        if checkpoint is None:
            raise TrainingDivergedError(
                f"{error} There is no checkpoint to rewind to (on_divergence: rewind). Save "
                "checkpoints regularly."
            ) from error
        if self.rewinds >= MAX_REWINDS:
            raise TrainingDivergedError(
                f"{error} The run was rewound {self.rewinds} times (on_divergence: rewind) and "
                "diverged again."
            ) from error
        self.rewinds += 1
        logger.warning(
            "%s Restoring %s, rewind %d of %d.", error, checkpoint, self.rewinds, MAX_REWINDS
        )
        algorithm.restore_from_path(checkpoint)
        _draw_other_rows(algorithm, self.rewinds)
        drop_metrics(algorithm)


def _invalid_columns(batch: Columns) -> list[str]:
    """Names of the columns that hold NaN or infinity."""
    return [
        name
        for name, x in batch.items()
        if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all()
    ]


def _draw_other_rows(algorithm: CheckpointedAlgorithm, times: int) -> None:
    buffer: Any = algorithm.replay_buffer
    buffer.rng = np.random.Generator(buffer.rng.bit_generator.jumped(times))


def drop_metrics(algorithm: CheckpointedAlgorithm) -> None:
    """Discard the metrics of learners and env runners since the last results."""
    algorithm.learner_group.foreach_learner(lambda learner: learner.metrics.reduce())
    algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.get_metrics())


def continue_or_end(algorithm: CheckpointedAlgorithm, error: LearnerFailedError) -> None:
    """Restart the learners and restore the last checkpoint, or end the run.

    Only the learners hold networks and optimizers, so the complete run is restored, including
    replay and counters, as in a resumed run.

    Args:
        algorithm: The algorithm whose learners no longer respond.
        error: The learner group's error.

    Raises:
        LearnerFailedError: If there is no checkpoint, or learners have died too often; names the
            last checkpoint.
    """
    group, checkpoint = algorithm.learner_group, algorithm.last_checkpoint
    if not isinstance(error, LearnersLostError) or checkpoint is None:
        _end(error, checkpoint)
    logger.warning("%s Restoring the run's last checkpoint, %s.", error, checkpoint)
    group.restart()
    algorithm.restore_from_path(checkpoint)
    drop_metrics(algorithm)


def _end(error: LearnerFailedError, checkpoint: str | None) -> NoReturn:
    then = (
        "No checkpoint was saved yet: start again"
        if checkpoint is None
        else f"The last checkpoint is {checkpoint}: continue from it"
    )
    raise LearnerFailedError(
        f"{error} {then} after removing the cause: a machine may have left the cluster, or may "
        "have run out of memory and killed processes. Ray's logs (session_latest/logs) say why "
        "they ended."
    ) from error
