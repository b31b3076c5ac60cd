"""What happens when learners have died and none of them is left, or too many have."""

import logging
from typing import NoReturn

from rllib_dreamerv3.errors import LearnerFailedError, LearnersLostError
from rllib_dreamerv3.plugin.checkpointing import CheckpointedAlgorithm
from rllib_dreamerv3.plugin.divergence import drop_metrics
from rllib_dreamerv3.plugin.learner_group import RemoteLearnerGroup

logger = logging.getLogger(__name__)


def go_on_or_end(algorithm: CheckpointedAlgorithm, error: LearnerFailedError) -> None:
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
    lost = isinstance(group, RemoteLearnerGroup) and isinstance(error, LearnersLostError)
    if not lost or checkpoint is None:
        _end(error, checkpoint)
    logger.warning("%s The run goes back to its last checkpoint, %s.", error, checkpoint)
    group.begin_anew()
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
