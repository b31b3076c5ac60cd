"""Asks env runners for records, and does without those that hang or have died."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import ray
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.envs.checked import place_of
from rllib_dreamerv3.errors import EnvironmentDataError, EnvironmentFailedError, in_words
from rllib_dreamerv3.plugin.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.failures import FailuresInARow, name_of
from rllib_dreamerv3.plugin.messages import leave_words, take_words
from rllib_dreamerv3.records import IS_LAST, RecordChunk

logger = logging.getLogger(__name__)

# Where there is nobody to ask: not too often.
_PAUSE_S = 0.1
# Env runners wait so long for one that is slower; then they go on, and take it in when it answers.
_SLOWEST_S = 10.0
# Multiple of the time after which an env runner is missed, for one that is not in its environment
# but busy with something else, such as compiling its policy.
_MORE_PATIENCE = 10
_STOP_S = 10.0


@dataclass(frozen=True)
class _Answer:
    incarnation: tuple[int, ...]
    chunks: list[RecordChunk]
    metrics: ResultDict


@dataclass
class _Request:
    """A call of an env runner that has not been answered.

    Attributes:
        answer: Where its answer will be.
        asked_at: By the monotonic clock.
        missed: Whether it was said that the answer is late.
    """

    answer: ray.ObjectRef
    asked_at: float
    missed: bool = False


class RemoteSampling:
    """Samples with the env runners of a group that are well, and brings the others back.

    While all are well, their records come in the order of the env runners, so that a run depends on
    its seed alone. Where one is slower than the others by ten seconds, they go on without it, and
    its records are taken when they come. One whose environment does not return in time is killed,
    for Ray to start it again. Nobody waits for an env runner that is lost: it is asked now and then
    whether it is there.

    Attributes:
        replaced: How often an env runner was lost and came back, since this process began.
    """

    def __init__(
        self,
        group: EnvRunnerGroup,
        *,
        restart: bool,
        timeout_s: float | None,
        tolerated_failures: int,
    ):
        """Takes over a group.

        Args:
            group: Its env runners.
            restart: Whether Ray starts those again that were lost.
            timeout_s: Seconds after which one that has not answered is replaced; None for never.
            tolerated_failures: Failures in a row, of one env runner, that do not end the run.
        """
        self._group, self._manager = group, group._worker_manager
        self._restart, self._timeout_s = restart, timeout_s
        self._tolerated_failures = tolerated_failures
        self._failures: dict[int, FailuresInARow] = {}
        self._take_in_new()
        self._incarnations: dict[int, tuple[int, ...]] = {}
        self._requests: dict[int, _Request] = {}
        self._pings: dict[int, _Request] = {}
        self._all_asked_before = False
        self.replaced = 0

    def sample(self, arguments: dict[str, Any]) -> tuple[list[RecordChunk], list[ResultDict]]:
        """Lets every env runner that is well, and not still at it, sample once.

        Args:
            arguments: Of ``DreamerV3EnvRunner.sample()``.

        Returns:
            The records that have come, and the metrics of each env runner that they come from.

        Raises:
            EnvironmentDataError: An environment of one returns what it does not declare.
            EnvironmentFailedError: One has failed too often in a row, or none is left.
        """
        if not self._restart and not self._manager.num_healthy_actors():
            raise EnvironmentFailedError("All env runners are lost, and none is to be restarted.")
        for index in self._requests.keys() - set(self._manager.actor_ids()):
            del self._requests[index]  # It was removed.
        asked = [i for i in self._manager.healthy_actor_ids() if i not in self._requests]
        for index in asked:
            answer = self._manager.actors()[index].apply.remote(_sample, arguments=arguments)
            self._requests[index] = _Request(answer, time.monotonic())
        self._wait_for(asked)
        answers = []
        for index in sorted(self._requests):
            good = self._take(index)
            if good is not None:
                answers.append(good)
        return [x for good in answers for x in good.chunks], [good.metrics for good in answers]

    def _wait_for(self, asked: list[int]) -> None:
        waited = [self._requests[index].answer for index in asked]
        if not waited:
            time.sleep(_PAUSE_S)
            return
        patience = self._timeout_s
        # All of them compile their policies in their first call.
        if self._all_asked_before:
            patience = min(_SLOWEST_S, patience or _SLOWEST_S)
        self._all_asked_before = True
        ray.wait(waited, num_returns=len(waited), timeout=patience)

    def _take(self, index: int) -> _Answer | None:
        """An env runner's answer, if it has come and is good."""
        request = self._requests[index]
        ready, _ = ray.wait([request.answer], timeout=0)
        if not ready:
            self._miss(index, request)
            return None
        del self._requests[index]
        try:
            answer: _Answer | EnvironmentDataError = ray.get(ready[0])
        except ray.exceptions.RayError as error:
            self._lose(index, self._words_of(index) or _gone(error), error)
            return None
        if isinstance(answer, EnvironmentDataError):
            # Asking again would not help.
            name = name_of(index, evaluation=False)
            raise EnvironmentDataError(f"{name}: {answer}") from answer
        if self._incarnations.setdefault(index, answer.incarnation) != answer.incarnation:
            # It has no weights yet.
            self._lose(index, "its process has died between two calls", None)
            return None
        self._failures[index].went_well(
            sum(chunk.env_steps() for chunk in answer.chunks),
            sum(int(chunk.columns[IS_LAST].sum()) for chunk in answer.chunks),
        )
        return answer

    def _miss(self, index: int, request: _Request) -> None:
        """Replaces an env runner if its answer is long overdue."""
        silent_s = time.monotonic() - request.asked_at
        if self._timeout_s is None or silent_s < self._timeout_s:
            return
        doing = self._words_of(index)
        if doing is None and silent_s < self._timeout_s * _MORE_PATIENCE:
            if not request.missed:
                name = name_of(index, evaluation=False)
                logger.warning("%s has not answered within %g s.", name, self._timeout_s)
                request.missed = True
            return
        doing = doing or f"{name_of(index, evaluation=False)} is silent"
        self._kill(index, f"{doing}. It did not answer within {self._timeout_s:g} s")

    def bring_back(self) -> list[int]:
        """Env runners that are there again after they were lost, or were added; waits for none.

        Returns:
            Their indices. They have no weights yet and the seeds of a restart.

        Raises:
            EnvironmentFailedError: One cannot be started any more.
        """
        back = self._take_in_new()
        for index in self._manager.actor_ids() if self._restart else ():
            if self._manager.is_actor_healthy(index):
                continue
            if index not in self._pings:
                answer = self._manager.actors()[index].ping.remote()
                self._pings[index] = _Request(answer, time.monotonic())
            ready, _ = ray.wait([self._pings[index].answer], timeout=0)
            if not ready:
                self._miss(index, self._pings[index])
                continue
            del self._pings[index]
            try:
                ray.get(ready[0])
            except ray.exceptions.ActorUnavailableError:
                continue  # It is starting.
            except ray.exceptions.RayError as error:
                self._lose(index, self._words_of(index) or _gone(error), error)
                continue
            self._manager.set_actor_state(index, healthy=True)
            self._requests.pop(index, None)
            self._incarnations.pop(index, None)
            self.replaced += 1
            back.append(index)
        return back

    def _take_in_new(self) -> list[int]:
        """Env runners that nobody has seen before; forgets those that were removed."""
        there = self._manager.actor_ids()
        new = [index for index in there if index not in self._failures]
        self._failures = {
            index: self._failures.get(index) or FailuresInARow(self._tolerated_failures)
            for index in there
        }
        return new

    def call(self, method: str, arguments: dict[str, Any], only: list[int] | None = None) -> None:
        """Calls every env runner, after what it has been asked before, and drops its records of it.

        Does not wait for one that does not answer in time: it takes the call up later.

        Args:
            method: Of ``DreamerV3EnvRunner``.
            arguments: For it; object references are resolved.
            only: Indices of those to call; by default all that are well.
        """
        if only is None:
            self._requests.clear()
        self._manager.foreach_actor(
            method, kwargs=arguments, remote_actor_ids=only, timeout_seconds=self._timeout_s
        )

    def stop(self) -> None:
        """Closes the environments of env runners that answer, and ends all processes."""
        self._manager.foreach_actor(lambda runner: runner.stop(), timeout_seconds=_STOP_S)
        self._manager.clear()

    def _words_of(self, index: int) -> str | None:
        return take_words(self._manager.actors()[index])

    def _kill(self, index: int, why: str) -> None:
        """Ends an env runner's process, for Ray to start another."""
        self._requests.pop(index, None)
        self._pings.pop(index, None)
        ray.kill(self._manager.actors()[index], no_restart=False)
        self._lose(index, f"{why} and is replaced", None)

    def _lose(self, index: int, why: str, error: Exception | None) -> None:
        """Does without an env runner until it is back; ends the run if that is asked for."""
        self._manager.set_actor_state(index, healthy=False)
        name = name_of(index, evaluation=False)
        text = why if why.startswith(name) else f"{name}: {why}"
        if not self._group._ignore_ray_errors_on_env_runners:
            raise EnvironmentFailedError(text) from error
        logger.warning("%s.", text.rstrip("."))
        failures = self._failures[index]
        if failures.failed():
            raise EnvironmentFailedError(f"{text.rstrip('.')}. {failures}.") from error


def _gone(error: Exception) -> str:
    """What is said of an env runner that had no time for words; Ray's own fill a screen."""
    return f"its process has died ({type(error).__name__})"


def _sample(
    runner: DreamerV3EnvRunner, *, arguments: dict[str, Any]
) -> _Answer | EnvironmentDataError:
    """Samples in an env runner's process; a failure leaves its words there for who asked."""
    try:
        return _Answer(runner.incarnation, runner.sample(**arguments), runner.get_metrics())
    except EnvironmentDataError as error:
        # RLlib would end this process for an exception, and start another.
        return error
    except Exception as error:
        leave_words(in_words(error) + place_of(error))
        raise
