"""What the result of an iteration has beyond RLlib's."""

from contextlib import suppress
from typing import Any

from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, EVALUATION_RESULTS, LEARNER_RESULTS

from rllib_dreamerv3.errors import LearnerFailedError
from rllib_dreamerv3.plugin.dream_reports import PICTURES
from rllib_dreamerv3.plugin.iteration import Iteration
from rllib_dreamerv3.plugin.learner_group import RemoteLearnerGroup
from rllib_dreamerv3.plugin.machines import machines
from rllib_dreamerv3.plugin.results import without_gaps


def complete(results: dict[str, Any], algorithm: Any, iteration: Iteration) -> None:
    """Adds what an algorithm knows, and says 0 or nothing where RLlib says NaN.

    Args:
        results: RLlib's, changed in place.
        algorithm: Whose they are, a ``DreamerV3``.
        iteration: That they are of.
    """
    if EVALUATION_RESULTS in results:
        # Tune wants in every result what trials are compared by. RLlib repeats evaluation once.
        if iteration.evaluated:
            algorithm.last_evaluation = results[EVALUATION_RESULTS]
        results[EVALUATION_RESULTS] = algorithm.last_evaluation
    learners, sampling = algorithm.learner_group, algorithm._remote_sampling
    remote = isinstance(learners, RemoteLearnerGroup)
    results |= {
        **algorithm._divergence.results(),
        "learner_device": algorithm._learner_device,
        "num_learner_rebuilds": learners.rebuilt if remote else 0,
    }
    # Learners that cannot be asked are dealt with by the next update.
    with suppress(LearnerFailedError):
        sampled_on = () if sampling is None else sampling.machines
        if sampled_on is not None:
            found = machines(learners.machines if remote else (), sampled_on)
            results |= {"machines": found} if found else {}
    for part in (ENV_RUNNER_RESULTS, LEARNER_RESULTS):
        if part in results:
            results[part] = without_gaps(results[part])
    # Nothing is there yet where no env runner has answered in this iteration.
    sampled = results.setdefault(ENV_RUNNER_RESULTS, {})
    sampled.update(algorithm._episodes.results())
    if sampling is not None:
        sampled.update(sampling.results())
    # Not through the metrics logger, which would repeat a report's keys, without values, in the
    # results of all iterations that have no such report.
    if iteration.reports:
        results[LEARNER_RESULTS][DEFAULT_MODULE_ID] |= iteration.reports
    if iteration.pictures:
        results[PICTURES] = iteration.pictures
