"""Learners in processes of their own, as RLlib's group of learners.

RLlib's own knows PyTorch's alone. This one divides each batch among its learners, which make the
update together (``agent/replicas.py``), and starts them again when one has died.
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

MOST_REBUILDS = 3

# Once one is lost, the others find out where they meet it next: after compiling, and a part of an
# update, of which a large one takes minutes.
_PATIENCE_S = 600.0
# What TensorFlow says where another learner cannot be reached any more.
_CUT_OFF = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)

logger = logging.getLogger(__name__)


def ask_learner(group: LearnerGroup, function: Callable[[DreamerV3Learner], T]) -> T:
    """Calls a function on one learner: all of a group know the same.

    Args:
        group: One of RLlib's with its learner in this process, or of those here.
        function: Where the learner is in another process, it and its result are pickled.

    Returns:
        What the function returns.
    """
    (answer, *_) = group.foreach_learner(function, remote_actor_ids=[0])
    result: T = answer.get()
    return result


class LocalLearnerGroup(LearnerGroup):
    """RLlib's group with its learner in this process, with the interface of the remote one.

    Attributes:
        rebuilt: 0: there is no process that could be lost.
        machines: Empty: it is where the algorithm is.
    """

    rebuilt = 0
    machines: Sequence[str] = ()

    def update(
        self,
        *,
        batch: MultiAgentBatch,
        timesteps: dict[str, Any] | None = None,
        background: Callable[[], None] | None = None,
    ) -> list[Columns]:
        """Does one update, see :meth:`RemoteLearnerGroup.update`.

        ``background`` is not called: this process is the one that computes.
        """
        results: list[Columns] = super().update(batch=batch, timesteps=timesteps)
        return results


class RemoteLearnerGroup(LearnerGroup):
    """A group of one or several learners, each in a process of its own.

    If one has died, which the next call detects, all are restarted with the state of one that is
    alive. Of an interrupted update, the return normaliser and, with three Adams, the world model
    may have stepped already; the update is repeated.

    Attributes:
        rebuilt: How often the learners were restarted.
    """

    _learner = None
    _worker_manager = None

    def __init__(self, *, config: Any, module_spec: Any = None, placement_group: Any = None):
        """Starts the processes and waits for them.

        Args:
            config: A ``DreamerV3Config`` with ``num_learners`` of at least 1.
            module_spec: Of the networks, by default the config's.
            placement_group: Not needed: Ray itself starts actors in the group of their parent.

        Raises:
            LearnerFailedError: One cannot be started.
        """
        self._is_shut_down, self._actors = False, []
        self._machines: list[str] | None = None
        self.config, self.rebuilt = config.copy(copy_frozen=False), 0
        self._module_spec = module_spec or self.config.get_multi_rl_module_spec()
        self._actors = start_learners(self.config, self._module_spec)

    def __len__(self) -> int:
        """Number of learners."""
        return len(self._actors)

    def update(
        self,
        *,
        batch: MultiAgentBatch,
        timesteps: dict[str, Any] | None = None,
        background: Callable[[], None] | None = None,
    ) -> list[Columns]:
        """Does one update, for which each learner gets as many rows.

        Args:
            batch: Record columns ``[B, K+T, ...]`` of the default module.
            timesteps: Env steps sampled so far, by RLlib's key.
            background: Called once while the learners compute.

        Returns:
            One entry: the latents of all rows in the batch's order, as record columns
            ``[B, T, ...]``. It is empty without a replay context, and for an update that learners
            had completed when one died before it could say so.

        Raises:
            TrainingDivergedError: If a metric is not finite.
            LearnersLostError: If no learner is left.
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
    def machines(self) -> Sequence[str]:
        """Where each learner is."""
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
        """Calls a function on learners, and waits for the results.

        Args:
            func: Called with the learner. It and its result are pickled.
            remote_actor_ids: Which learners, from 0; None for all.
            **kwargs: RLlib's options of waiting, which have no meaning here.

        Returns:
            What the function has returned, in the order of the learners.

        Raises:
            Exception: What the function has raised.
            LearnersLostError: If no learner is left.
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
        """Starts all learners again, with the state of that which has come furthest.

        Args:
            answers: Of every learner, to its last call.
        """
        alive = [x for x, answer in zip(self._actors, answers, strict=True) if not _lost(answer)]
        count = f"{len(self) - len(alive)} of {len(self)} learners"
        words = f"{count if len(self) > 1 else 'The learner'} died or cannot be reached any more"
        if self.rebuilt >= MOST_REBUILDS:
            raise LearnerFailedError(
                f"{words}, after learners were started again {self.rebuilt} times already."
            )
        counted = _answers([x.apply.remote(_updates_of) for x in alive])
        best = max(
            (i for i, updates in enumerate(counted) if isinstance(updates, int)),
            key=lambda i: counted[i],
            default=None,
        )
        if best is None:
            raise LearnersLostError(f"{words}, and none is left.")
        (state,) = _answers([alive[best].apply.remote(lambda learner: learner.get_state())])
        if isinstance(state, Exception):
            raise LearnersLostError(f"{words}, and none is left.") from state
        self.rebuilt += 1
        logger.warning(
            "%s. All are started again, with the networks of one that is left (%d of at most %d "
            "times).",
            words,
            self.rebuilt,
            MOST_REBUILDS,
        )
        self._restart_with(state)

    def restart(self) -> None:
        """Restarts all learners with new networks, if none is alive to take them from."""
        self.rebuilt += 1
        self._restart_with(None)

    def _restart_with(self, state: Any) -> None:
        stop(self._actors)
        self._machines = None
        self._actors = start_learners(self.config, self._module_spec, state)
        logger.warning("All learners are there again: training goes on.")

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The state of a learner; that of all others is the same."""
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
        """Gives all learners what :meth:`get_state` has returned, or a part of it."""
        if COMPONENT_LEARNER in state:
            given = ray.put(state[COMPONENT_LEARNER])
            self.foreach_learner(lambda learner: learner.set_state(ray.get(given)))

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """The learners as one component, under the name and with the files that one has."""
        return [(COMPONENT_LEARNER, LearnerFiles(self))]

    def shutdown(self) -> None:
        """Ends the processes."""
        self._is_shut_down = True
        if ray.is_initialized():
            stop(self._actors)
        self._actors = []


class _SilentError(Exception):
    """A learner has not answered in time."""


def _answers(calls: list[ray.ObjectRef]) -> list[Any]:
    """What calls of learners have returned, or that they are lost or cut off, in their order.

    Raises:
        Exception: What a learner has raised itself.
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
                # At once: the others may wait for it without end.
                raise answers[i]
    return [answers.get(i, _SilentError()) for i in range(len(calls))]


def _is_failure(answer: Any) -> bool:
    return isinstance(answer, Exception)


def _lost(answer: Any) -> bool:
    """Whether it says that a learner's process cannot be asked any more."""
    return isinstance(answer, ray.exceptions.RayActorError | _SilentError)


def _cut_off(answer: Any) -> bool:
    return isinstance(answer, _CUT_OFF)


def _updates_of(learner: DreamerV3Learner) -> int:
    return int(learner.trainer.updates)
