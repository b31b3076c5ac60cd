"""Results of an iteration: state collected during it, and metrics beyond RLlib's."""

import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    EVALUATION_RESULTS,
    LEARNER_RESULTS,
    NUM_AGENT_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_TRAINED,
    NUM_EPISODES,
    NUM_MODULE_STEPS_SAMPLED,
    NUM_MODULE_STEPS_TRAINED,
)

from rllib_dreamerv3.errors import LearnerFailedError
from rllib_dreamerv3.plugin.checkpoints.location import CheckpointLocation
from rllib_dreamerv3.plugin.cluster.resources import placement
from rllib_dreamerv3.records import Columns
from rllib_dreamerv3.replay.buffer import ENV_STEPS_ADDED, RECORDS_SAMPLED
from rllib_dreamerv3.reports.dream_files import write_report
from rllib_dreamerv3.reports.dreams import Dream


@dataclass
class Iteration:
    """The state of one call of ``train()``.

    RLlib calls ``training_step()`` without arguments, possibly several times, and takes only
    metrics from it; this holds everything else that goes into the results.

    Attributes:
        seconds: Duration after which no further sample or update begins.
        began: Start of the iteration by ``time.monotonic()``, in seconds.
        last_batch: Record columns ``[B, K+T, ...]`` of the last update; None before the first.
        reports: Reports for the learner's results, by name.
        evaluated: Whether this iteration included an evaluation.
        pictures: Files of the last dream, by their names in the results.
    """

    seconds: float
    began: float = field(default_factory=time.monotonic)
    last_batch: Columns | None = None
    reports: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    evaluated: bool = False

    @property
    def time_is_up(self) -> bool:
        return time.monotonic() - self.began > self.seconds


_SUMS = {
    NUM_AGENT_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_TRAINED,
    NUM_EPISODES,
    NUM_MODULE_STEPS_SAMPLED,
    NUM_MODULE_STEPS_TRAINED,
}


def without_gaps(results: dict[str, Any]) -> dict[str, Any]:
    """Report 0, or omit the metric, instead of NaN.

    RLlib's own algorithms sample and learn in every iteration; an iteration here may be too short.

    Args:
        results: Metrics of env runners or learners.

    Returns:
        The metrics without NaN: sums are 0, others are omitted.
    """
    return _without_gaps(results, is_sum=False)


def _without_gaps(results: dict[str, Any], *, is_sum: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in results.items():
        counts = is_sum or name in _SUMS
        if isinstance(value, dict):
            kept[name] = _without_gaps(value, is_sum=counts)
        elif not _is_nan(value):
            kept[name] = value
        elif counts:
            kept[name] = 0
    return kept


def _is_nan(value: Any) -> bool:
    try:
        return math.isnan(value)
    except TypeError:
        return False


def complete(results: dict[str, Any], algorithm: Any, iteration: Iteration) -> None:
    """Add the metrics of an algorithm, and report 0, or omit the metric, instead of NaN.

    Args:
        results: RLlib's results, changed in place.
        algorithm: The ``DreamerV3`` that returns them.
        iteration: The iteration of the results.
    """
    if EVALUATION_RESULTS in results:
        # Tune needs the metrics by which it compares trials in every result; RLlib repeats an
        # evaluation only once.
        if iteration.evaluated:
            algorithm.last_evaluation = results[EVALUATION_RESULTS]
        results[EVALUATION_RESULTS] = algorithm.last_evaluation
    learners, sampler = algorithm.learner_group, algorithm.sampler
    results |= {
        **algorithm.divergence.results(),
        "learner_device": algorithm.learner_device,
        "learner_compute_dtype": algorithm.config.compute_dtype,
        "num_learner_rebuilds": learners.rebuilt,
    }
    if algorithm.product_speeds:
        results["product_gflop_per_s"] = dict(algorithm.product_speeds)
    # The next update handles learners that do not answer.
    with suppress(LearnerFailedError):
        if (sampled_on := sampler.placement) is not None:
            found = placement(learners.placement, sampled_on)
            results |= {"machines": found} if found else {}
    for part in (ENV_RUNNER_RESULTS, LEARNER_RESULTS):
        if part in results:
            results[part] = without_gaps(results[part])
    # Missing if no env runner answered in this iteration.
    sampled = results.setdefault(ENV_RUNNER_RESULTS, {})
    episodes = algorithm.episodes.results()
    sampled.update(episodes)
    # RLlib has emptied its metrics into the results; peek() shall find these values, too.
    algorithm.metrics.log_dict(episodes, key=ENV_RUNNER_RESULTS, window=1)
    sampled.update(sampler.results())
    # Not through the metrics logger, which would repeat a report's keys, without values, in all
    # later results.
    if iteration.reports:
        results[LEARNER_RESULTS][DEFAULT_MODULE_ID] |= iteration.reports
    if iteration.pictures:
        results[PICTURES] = iteration.pictures


# Former name -> that in `ReplayBuffer.metrics`.
_FORMER_NAMES = {
    "capacity": "capacity_records",
    "size_num_episodes": "num_episodes_stored",
    "size_timesteps": "num_env_steps_stored",
    "replayed_steps": RECORDS_SAMPLED,
    "added_steps": ENV_STEPS_ADDED,
}


def under_former_names(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return replay metrics under the names of RLlib's former DreamerV3.

    Args:
        metrics: As ``ReplayBuffer.metrics`` returns them.

    Returns:
        ``capacity``, ``size_timesteps``, ``replayed_steps`` and ``added_steps`` in steps,
        ``size_num_episodes`` in episodes.
    """
    return {former: metrics[name] for former, name in _FORMER_NAMES.items()}


PICTURES = "reports"
"""Key of the results for the files of dreams."""

logger = logging.getLogger(__name__)


def report_dream(
    directory: Path, location: CheckpointLocation | None, dream: Dream, update: int
) -> dict[str, str]:
    """Write the files of :func:`write_report`, and upload them if Tune keeps the trial elsewhere.

    A failed picture is logged; training continues.

    Args:
        directory: The trial's directory on this machine.
        location: Where Tune keeps the trial; None without Tune.
        dream: The dream to write.
        update: Number of updates so far.

    Returns:
        Paths of the files, by their names in the results; empty if they could not be written.
    """
    try:
        files = write_report(directory, dream, update)
        if location is None or location.filesystem is None:
            return {name: str(path) for name, path in files.items()}
        return {
            name: location.upload(path, path.relative_to(directory).as_posix())
            for name, path in files.items()
        }
    # imageio and ffmpeg raise RuntimeError, e.g. if there is no ffmpeg for the platform.
    except (OSError, RuntimeError) as error:
        logger.warning(
            "The dream of update %d could not be written to %s: %s", update, directory, error
        )
        return {}
