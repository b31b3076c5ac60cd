"""Requests records from remote env runners, and continues without those that hang or have died."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.envs.checked import place_of
from rllib_dreamerv3.errors import EnvironmentDataError, EnvironmentFailedError, in_words
from rllib_dreamerv3.plugin.cluster.resources import this_machine
from rllib_dreamerv3.plugin.cluster.worker_status import post_status, take_status
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.faults import ConsecutiveFailures, name_of
from rllib_dreamerv3.plugin.sampling.request import SampleRequest
from rllib_dreamerv3.plugin.sampling.sampler import Sampler
from rllib_dreamerv3.records import IS_LAST, RecordChunk

logger = logging.getLogger(__name__)

# Between two looks for an env runner that can be asked.
PAUSE_S = 0.1
# Multiple of the time after which an env runner is missed, for one that is not in its environment
# but busy with something else, such as compiling its policy.
_MORE_PATIENCE = 10
_STOP_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What an env runner sends.

    Attributes:
        incarnation: Which of its processes it is.
        machine: Where that process is.
        chunks: The records, in their order.
        metrics: Since its answer before.
    """

    incarnation: tuple[int, ...]
    machine: str
    chunks: list[RecordChunk]
    metrics: ResultDict


@dataclass
class PendingCall:
    """A call of an env runner that has not been answered.

    Attributes:
        answer: Where its answer will be.
        asked_at: When it was asked, or its answer before was taken; by the monotonic clock.
        records: How many it asks for.
        updates: Updates that the weights had seen which came with it.
        missed: Whether it was said that the answer is late.
    """

    answer: ray.ObjectRef
    asked_at: float
    records: int = 0
    updates: int = 0
    missed: bool = False


class RemoteSampler(Sampler):
    """Sends requests to the healthy env runners of a group, and recovers the others.

    An env runner processes its requests in the order in which they were sent. One whose environment
    does not return in time is killed, and Ray restarts it. Lost env runners are polled, not waited
    for.

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
        super().__init__(group)
        self._manager = group._worker_manager
        self._restart, self._timeout_s = restart, timeout_s
        self._tolerated_failures = tolerated_failures
        self._failures: dict[int, ConsecutiveFailures] = {}
        self._take_in_new()
        self._incarnations: dict[int, tuple[int, ...]] = {}
        self._machines: dict[int, str] = {}
        # Unanswered, by env runner; none is empty.
        self._requests: dict[int, deque[PendingCall]] = {}
        self._pings: dict[int, PendingCall] = {}
        self._metrics: list[ResultDict] = []
        self.replaced = 0

    def take_metrics(self) -> list[ResultDict]:
        """Returns the metrics that came with the records, one dict for each answer."""
        taken, self._metrics = self._metrics, []
        return taken

    def results(self) -> dict[str, float]:
        """Returns how many env runners were replaced since the process began."""
        return {"num_env_runners_replaced_lifetime": self.replaced}

    @property
    def machines(self) -> list[str] | None:
        """Nodes of the healthy env runners; None until all of them have answered."""
        well = self._manager.healthy_actor_ids()
        if not self._machines.keys() >= set(well):
            return None
        return [self._machines[index] for index in well]

    def _find_well(self) -> list[int]:
        """Indices of the env runners that can be asked; forgets requests to removed ones.

        Raises:
            EnvironmentFailedError: None is left, nor will be.
        """
        if not self._restart and not self._manager.num_healthy_actors():
            raise EnvironmentFailedError("All env runners are lost, and none is to be restarted.")
        for index in self._requests.keys() - set(self._manager.actor_ids()):
            del self._requests[index]  # It was removed.
        return list(self._manager.healthy_actor_ids())

    def _ask(
        self,
        index: int,
        request: SampleRequest,
        state: dict[str, Any] | None = None,
        updates: int = 0,
    ) -> None:
        """Sends one request to an env runner, with a state to set first, if any."""
        actor = self._manager.actors()[index]
        answer = actor.apply.remote(_sample, arguments=request.arguments, state=state)
        call = PendingCall(answer, time.monotonic(), request.records, updates)
        self._requests.setdefault(index, deque()).append(call)

    def _take(self, index: int) -> Answer | None:
        """An env runner's first answer, if it has come and is good."""
        request = self._requests[index][0]
        ready, _ = ray.wait([request.answer], timeout=0)
        if not ready:
            self._miss(index, request)
            return None
        self._pop(index)
        try:
            answer: Answer | EnvironmentDataError = ray.get(ready[0])
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
        self._machines[index] = answer.machine
        self._failures[index].succeeded(
            sum(chunk.env_steps() for chunk in answer.chunks),
            sum(int(chunk.columns[IS_LAST].sum()) for chunk in answer.chunks),
        )
        return answer

    def _pop(self, index: int) -> None:
        """Forgets an env runner's first request; it can begin with the next one now."""
        requests = self._requests[index]
        requests.popleft()
        if requests:
            requests[0].asked_at = time.monotonic()
        else:
            del self._requests[index]

    def _miss(self, index: int, request: PendingCall) -> None:
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
                self._pings[index] = PendingCall(answer, time.monotonic())
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
            self._machines.pop(index, None)
            self.replaced += 1
            back.append(index)
        return back

    def _take_in_new(self) -> list[int]:
        """Env runners that nobody has seen before; forgets those that were removed."""
        there = self._manager.actor_ids()
        new = [index for index in there if index not in self._failures]
        self._failures = {
            index: self._failures.get(index) or ConsecutiveFailures(self._tolerated_failures)
            for index in there
        }
        return new

    def call_remote(
        self, method: str, arguments: dict[str, Any], only: list[int] | None = None
    ) -> None:
        """Calls env runners after their pending requests, whose records are dropped.

        An env runner that does not answer in time is not waited for: it runs the call later.
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
        return take_status(self._manager.actors()[index])

    def _kill(self, index: int, why: str) -> None:
        """Ends an env runner's process, for Ray to start another."""
        self._pings.pop(index, None)
        ray.kill(self._manager.actors()[index], no_restart=False)
        self._lose(index, f"{why} and is replaced", None)

    def _lose(self, index: int, why: str, error: Exception | None) -> None:
        """Does without an env runner until it is back; ends the run if that is asked for."""
        self._requests.pop(index, None)
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
    runner: DreamerV3EnvRunner, *, arguments: dict[str, Any], state: dict[str, Any] | None
) -> Answer | EnvironmentDataError:
    """Samples in an env runner's process; a failure leaves its words there for who asked."""
    try:
        if state is not None:
            runner.set_state(state)
        chunks = runner.sample(**arguments)
        return Answer(runner.incarnation, this_machine(), chunks, runner.get_metrics())
    except EnvironmentDataError as error:
        # RLlib would end this process for an exception, and start another.
        return error
    except Exception as error:
        post_status(in_words(error) + place_of(error))
        raise


# How long env runners wait for one that is slower than the others.
_SLOWEST_S = 10.0


class SynchronousSampler(RemoteSampler):
    """Lets every healthy env runner without a pending request sample once a call.

    While all are healthy, their records come in the order of the env runners, so that a run depends
    on its seed alone. If one is slower than the others by ten seconds, they continue without it,
    and its records are taken when they arrive.
    """

    def __init__(self, group: EnvRunnerGroup, publish: Callable[[], None], **options: Any):
        """Takes over a group.

        Args:
            group: Its env runners.
            publish: Sends the learner's weights to all of them.
            **options: See :class:`RemoteSampler`.
        """
        super().__init__(group, **options)
        self._publish = publish
        self._all_asked_before = False

    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        """Samples once with each; ``request.room`` has no effect."""
        asked = [i for i in self._find_well() if i not in self._requests]
        for index in asked:
            self._ask(index, request)
        self._wait_for(asked)
        chunks = []
        for index in sorted(self._requests):
            answer = self._take(index)
            if answer is not None:
                chunks += answer.chunks
                self._metrics.append(answer.metrics)
        return chunks

    def publish_weights(self) -> None:
        """Sends the weights now."""
        self._publish()

    def _wait_for(self, asked: list[int]) -> None:
        waited = [self._requests[index][0].answer for index in asked]
        if not waited:
            time.sleep(PAUSE_S)
            return
        patience = self._timeout_s
        # All of them compile their policies in their first call.
        if self._all_asked_before:
            patience = min(_SLOWEST_S, patience or _SLOWEST_S)
        self._all_asked_before = True
        ray.wait(waited, num_returns=len(waited), timeout=patience)
