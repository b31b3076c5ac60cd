"""Goes on, or ends the run, when an update is not finite or learners have died."""

import logging
from typing import Any, NoReturn

import numpy as np

from rllib_dreamerv3.errors import LearnerFailedError, LearnersLostError, TrainingDivergedError
from rllib_dreamerv3.plugin.checkpointed import CheckpointedAlgorithm
from rllib_dreamerv3.plugin.learners.group import ask_learner
from rllib_dreamerv3.records import Columns

MOST_REWINDS = 3
DIRECTORY = "diverged"

logger = logging.getLogger(__name__)


class Divergence:
    """Does what ``on_divergence`` says, after the flight recorder has written its files.

    Attributes:
        ignored: Updates that were left out since this process began.
        rewinds: How often it went back to a checkpoint.
    """

    def __init__(self, algorithm: CheckpointedAlgorithm):
        """Nothing has happened yet."""
        self._algorithm = algorithm
        self.ignored = self.rewinds = 0

    def results(self) -> dict[str, int]:
        """Both counters, under the names they have in results."""
        return {"num_updates_ignored": self.ignored, "num_rewinds": self.rewinds}

    def record(self, error: TrainingDivergedError, batch: Columns) -> None:
        """Lets the learner write what it knows; returns if the update is to be ignored.

        Args:
            error: What the learner said. Its networks are as they were before the update.
            batch: Record columns ``[B, K+T, ...]`` of the update.

        Raises:
            TrainingDivergedError: Unless the update is to be ignored; says where the recording is,
                which checkpoint is the last good one, and what to do.
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
        rates = algorithm.config.learning_options().learning_rates
        names = ", ".join("lr" if name == "all" else f"{name}_lr" for name in rates)
        good = (
            "No checkpoint was saved yet; begin again"
            if checkpoint is None
            else f"The last good checkpoint is {checkpoint}; go on from it"
        )
        raise TrainingDivergedError(
            f"{error} {recording or 'Enough such updates were recorded before.'} {good} with lower "
            f"learning rates ({names}), or check the environment for extreme observations or "
            "rewards."
        ) from error

    def _write(self, batch: Columns, summary: dict[str, Any]) -> str | None:
        """Lets the learner write a recording; a sentence about it, None if there are enough."""
        directory = self._algorithm.trial.directory / DIRECTORY
        summary = {"on_divergence": self._algorithm.config.on_divergence, **summary}
        return ask_learner(
            self._algorithm.learner_group,
            lambda learner: learner.write_recording(directory, batch, summary),
        )

    def rewind(self, error: TrainingDivergedError) -> None:
        """Goes back to the last good checkpoint, from where other rows are drawn from replay.

        Raises:
            TrainingDivergedError: The error itself unless ``on_divergence`` is "rewind"; one that
                says more if there is no checkpoint, or if that was tried often enough.
        """
        algorithm = self._algorithm
        if algorithm.config.on_divergence != "rewind":
            raise error
        checkpoint = algorithm.last_checkpoint
        if checkpoint is None:
            raise TrainingDivergedError(
                f"{error} There is no checkpoint to rewind to (on_divergence: rewind); save one "
                "now and then."
            ) from error
        if self.rewinds >= MOST_REWINDS:
            raise TrainingDivergedError(
                f"{error} It was rewound {self.rewinds} times (on_divergence: rewind) and diverged "
                "again."
            ) from error
        self.rewinds += 1
        logger.warning(
            "%s Going back to %s, rewind %d of %d.", error, checkpoint, self.rewinds, MOST_REWINDS
        )
        algorithm.restore_from_path(checkpoint)
        _draw_other_rows(algorithm, self.rewinds)
        drop_metrics(algorithm)


def _draw_other_rows(algorithm: CheckpointedAlgorithm, times: int) -> None:
    buffer: Any = algorithm.replay_buffer
    buffer.rng = np.random.Generator(buffer.rng.bit_generator.jumped(times))


def drop_metrics(algorithm: CheckpointedAlgorithm) -> None:
    """Throws away what learner and env runner counted since results were last made of it."""
    algorithm.learner_group.foreach_learner(lambda learner: learner.metrics.reduce())
    algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.get_metrics())


def continue_or_end(algorithm: CheckpointedAlgorithm, error: LearnerFailedError) -> None:
    """Goes back to the last checkpoint where that helps.

    Networks and optimizers are in the learners alone, so the whole run goes back: replay and
    counters with them, as in a resumed run.

    Args:
        algorithm: Its group of learners cannot be asked any more.
        error: What the group said.

    Raises:
        LearnerFailedError: If there is no checkpoint, or too many learners have died; says which
            checkpoint is the last one.
    """
    group, checkpoint = algorithm.learner_group, algorithm.last_checkpoint
    if not isinstance(error, LearnersLostError) or checkpoint is None:
        _end(error, checkpoint)
    logger.warning("%s The run goes back to its last checkpoint, %s.", error, checkpoint)
    group.restart()
    algorithm.restore_from_path(checkpoint)
    drop_metrics(algorithm)


def _end(error: LearnerFailedError, checkpoint: str | None) -> NoReturn:
    then = (
        "No checkpoint was saved yet; begin again"
        if checkpoint is None
        else f"The last checkpoint is {checkpoint}; go on from it"
    )
    raise LearnerFailedError(
        f"{error} {then} when the cause is removed: a machine may have left the cluster, or be "
        "short of memory and kill processes. Ray's logs (session_latest/logs) say why they ended."
    ) from error
