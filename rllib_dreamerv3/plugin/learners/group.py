"""Groups of learners, local or remote, with one interface.

RLlib's own remote group supports only PyTorch. This one divides each batch among its learners,
which compute the update together (``agent/replicas.py``), and restarts them if one has died.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import numpy as np
import ray
import tensorflow as tf
from ray.rllib.core import COMPONENT_LEARNER, DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner_group import LearnerGroup
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.actor_manager import RemoteCallResults, ResultOrError

from rllib_dreamerv3.errors import LearnerFailedError, LearnersLostError
from rllib_dreamerv3.plugin.cluster.resources import this_machine
from rllib_dreamerv3.plugin.learners.files import LearnerFiles
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.learners.process import start_learners, stop
from rllib_dreamerv3.records import Columns

T = TypeVar("T")

MAX_REBUILDS = 3

# When one learner dies, the others fail at the next collective: after compiling and part of an
# update, which takes minutes for large models.
_PATIENCE_S = 600.0
# TensorFlow's errors if another learner is unreachable.
_CUT_OFF = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)

logger = logging.getLogger(__name__)


def ask_learner(group: LearnerGroup, function: Callable[[DreamerV3Learner], T]) -> T:
    """Call a function with one learner of a group; all have the same state.

    Args:
        group: A local or remote group.
        function: Called with the learner. Pickled, with its result, if the learner is remote.

    Returns:
        The function's result.
    """
    (answer, *_) = group.foreach_learner(function, remote_actor_ids=[0])
    result: T = answer.get()
    return result


class LocalLearnerGroup(LearnerGroup):
    """RLlib's group with its learner in this process, with the interface of the remote group.

    Attributes:
        rebuilt: 0, as there is no process to restart.
        placement: Empty, as the learner is in the main process.
    """

    rebuilt = 0
    placement: Sequence[str] = ()

    def update(
        self,
        *,
        batch: MultiAgentBatch,
        timesteps: dict[str, Any] | None = None,
        background: Callable[[], None] | None = None,
    ) -> list[Columns]:
        """Run one update, see :meth:`RemoteLearnerGroup.update`.

        Do not call ``background``, as this process computes the update.
        """
        results: list[Columns] = super().update(batch=batch, timesteps=timesteps)
        return results


class RemoteLearnerGroup(LearnerGroup):
    """A group of one or several learner processes.

    If one has died, which the next call detects, all are restarted with the state of one that is
    alive, and an interrupted update is repeated. Its first attempt may have updated the return
    normaliser and, with three Adams, the world model already.

    Attributes:
        rebuilt: Number of restarts of the learners.
    """

    _learner = None
    _worker_manager = None

    def __init__(self, *, config: Any, module_spec: Any = None, placement_group: Any = None):
        """Start the processes and wait for them.

        Args:
            config: A ``DreamerV3Config`` with ``num_learners`` of at least 1.
            module_spec: Of the networks; by default the config's.
            placement_group: Unused: Ray starts actors in the group of their parent.

        Raises:
            LearnerFailedError: If a learner cannot be started.
        """
        self._is_shut_down, self._actors = False, []
        self._machines: list[str] | None = None
        self.config, self.rebuilt = config.copy(copy_frozen=False), 0
        self._module_spec = module_spec or self.config.get_multi_rl_module_spec()
        self._actors = start_learners(self.config, self._module_spec)

    def __len__(self) -> int:
        return len(self._actors)

    def update(
        self,
        *,
        batch: MultiAgentBatch,
        timesteps: dict[str, Any] | None = None,
        background: Callable[[], None] | None = None,
    ) -> list[Columns]:
        """Run one update, with an equal part of the batch for each learner.

        Args:
            batch: Record columns ``[B, K+T, ...]`` of the default module.
            timesteps: Env steps sampled so far, by RLlib's key.
            background: Called once while the learners compute.

        Returns:
            One entry: the columns ``[B, T, ...]`` for replay, see :class:`Update`. Empty if a
            learner died after the update but before returning its part.

        Raises:
            TrainingDivergedError: If a metric is not finite.
            LearnersLostError: If all learners have died.
            LearnerFailedError: If learners have died too often.
        """
        parts = self._divided(dict(batch[DEFAULT_MODULE_ID]))
        while True:
            answers = self._send_parts(parts, timesteps or {}, background)
            background = None
            if not any(_is_failure(answer) for answer in answers):
                return [{name: np.concatenate([x[name] for x in answers]) for name in answers[0]}]
            self._rebuild(answers)
            if not all(_is_failure(answer) for answer in answers):
                return [{}]

    @property
    def placement(self) -> Sequence[str]:
        if self._machines is None:
            answers = self.foreach_learner(lambda _: this_machine())
            self._machines = [answer.get() for answer in answers]
        return self._machines

    def _divided(self, columns: Columns) -> list[Columns]:
        size = len(next(iter(columns.values()))) // len(self)
        return [
            {name: x[i * size : (i + 1) * size] for name, x in columns.items()}
            for i in range(len(self))
        ]

    def _send_parts(
        self,
        parts: list[Columns],
        timesteps: dict[str, Any],
        background: Callable[[], None] | None,
    ) -> list[Any]:
        calls = [
            actor.update.remote(part, timesteps)
            for actor, part in zip(self._actors, parts, strict=True)
        ]
        if background is not None:
            background()
        return _answers(calls)

    def foreach_learner(
        self,
        func: Callable[..., Any],
        *,
        remote_actor_ids: list[int] | None = None,
        **kwargs: Any,
    ) -> RemoteCallResults:
        """Call a function with learners, and wait for the results.

        Args:
            func: Called with the learner. Pickled, with its result.
            remote_actor_ids: Indices of the learners, from 0; None for all.
            **kwargs: RLlib's options of waiting, without effect here.

        Returns:
            The function's results, in the order of the learners.

        Raises:
            Exception: The function's own exception.
            LearnersLostError: If all learners have died.
            LearnerFailedError: If learners have died too often.
        """
        indices = [*range(len(self))] if remote_actor_ids is None else remote_actor_ids
        found: dict[int, Any] = {}
        while missing := [i for i in indices if i not in found]:
            answers = _answers([self._actors[i].apply.remote(func) for i in missing])
            at = dict(zip(missing, answers, strict=True))
            found |= {i: answer for i, answer in at.items() if not _is_failure(answer)}
            if any(_is_failure(answer) for answer in answers):
                self._rebuild([at.get(i) for i in range(len(self))])
        results = RemoteCallResults()
        for i in indices:
            results.add_result(i, ResultOrError(result=found[i]), None)
        return results

    def _rebuild(self, answers: list[Any]) -> None:
        """Restart all learners with the state of the one with the most updates.

        Args:
            answers: Of every learner to its last call.
        """
        alive = [x for x, answer in zip(self._actors, answers, strict=True) if not _lost(answer)]
        count = f"{len(self) - len(alive)} of {len(self)} learners"
        failure = f"{count if len(self) > 1 else 'The learner'} died or became unreachable"
        if self.rebuilt >= MAX_REBUILDS:
            raise LearnerFailedError(
                f"{failure}, after learners had already been restarted {self.rebuilt} times."
            )
        counted = _answers([x.apply.remote(_updates_of) for x in alive])
        best = max(
            (i for i, updates in enumerate(counted) if isinstance(updates, int)),
            key=lambda i: counted[i],
            default=None,
        )
        if best is None:
            raise LearnersLostError(f"{failure}, and none is alive.")
        (state,) = _answers([alive[best].apply.remote(lambda learner: learner.get_state())])
        if isinstance(state, Exception):
            raise LearnersLostError(f"{failure}, and none is alive.") from state
        self.rebuilt += 1
        logger.warning(
            "%s. Restarting all with the networks of one that is alive (restart %d of at most %d).",
            failure,
            self.rebuilt,
            MAX_REBUILDS,
        )
        self._restart_with(state)

    def restart(self) -> None:
        """Restart all learners with new networks, after all have died."""
        self.rebuilt += 1
        self._restart_with(None)

    def _restart_with(self, state: Any) -> None:
        stop(self._actors)
        self._machines = None
        self._actors = start_learners(self.config, self._module_spec, state)
        logger.warning("All learners are running again: training continues.")

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the state of one learner, which is that of all."""
        if not self._check_component(COMPONENT_LEARNER, components, not_components):
            return {}
        wanted = self._get_subcomponents(COMPONENT_LEARNER, components)
        unwanted = self._get_subcomponents(COMPONENT_LEARNER, not_components)
        state = ask_learner(
            self,
            lambda learner: learner.get_state(wanted, not_components=unwanted, **kwargs),
        )
        return {COMPONENT_LEARNER: state}

    def set_state(self, state: dict[str, Any]) -> None:
        if COMPONENT_LEARNER in state:
            given = ray.put(state[COMPONENT_LEARNER])
            self.foreach_learner(lambda learner: learner.set_state(ray.get(given)))

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """Return the learners as one component, with the name and files of a single learner."""
        return [(COMPONENT_LEARNER, LearnerFiles(self))]

    def shutdown(self) -> None:
        self._is_shut_down = True
        if ray.is_initialized():
            stop(self._actors)
        self._actors = []


class _SilentError(Exception):
    """A learner did not answer in time."""


def _answers(calls: list[ray.ObjectRef]) -> list[Any]:
    """Return the results of calls in order; exceptions stand for lost or unreachable learners.

    Raises:
        Exception: A learner's own exception.
    """
    waiting = dict(enumerate(calls))
    answers: dict[int, Any] = {}
    while waiting:
        patience = _PATIENCE_S if any(_is_failure(x) for x in answers.values()) else None
        ready, _ = ray.wait([*waiting.values()], timeout=patience)
        if not ready:
            break
        for i in [i for i, call in waiting.items() if call in ready]:
            try:
                answers[i] = ray.get(waiting.pop(i))
            except ray.exceptions.RayTaskError as error:
                answers[i] = getattr(error, "cause", None) or error
            except ray.exceptions.RayActorError as error:
                answers[i] = error
            if _is_failure(answers[i]) and not (_lost(answers[i]) or _cut_off(answers[i])):
                # Immediately, as the others may wait for this learner forever.
                raise answers[i]
    return [answers.get(i, _SilentError()) for i in range(len(calls))]


def _is_failure(answer: Any) -> bool:
    return isinstance(answer, Exception)


def _lost(answer: Any) -> bool:
    """Whether an answer means that the learner's process no longer responds."""
    return isinstance(answer, ray.exceptions.RayActorError | _SilentError)


def _cut_off(answer: Any) -> bool:
    return isinstance(answer, _CUT_OFF)


def _updates_of(learner: DreamerV3Learner) -> int:
    return int(learner.trainer.updates)
