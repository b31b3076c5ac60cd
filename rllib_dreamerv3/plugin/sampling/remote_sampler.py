"""Requests records from remote env runners, and continues without those that hang or have died."""

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import ray
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.envs.checked import user_location
from rllib_dreamerv3.errors import (
    CallbackFailedError,
    EnvironmentDataError,
    EnvironmentFailedError,
    RepeatedFailuresError,
    describe,
)
from rllib_dreamerv3.plugin.cluster.resources import this_machine
from rllib_dreamerv3.plugin.cluster.worker_status import post_status, take_status
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.failure_limit import ConsecutiveFailures
from rllib_dreamerv3.plugin.sampling.faults import name_of
from rllib_dreamerv3.plugin.sampling.request import SampleRequest
from rllib_dreamerv3.plugin.sampling.sampler import Sampler
from rllib_dreamerv3.records import IS_LAST, RecordChunk

logger = logging.getLogger(__name__)

# Interval of polling for a healthy env runner.
PAUSE_S = 0.1
# Multiple of the timeout for an env runner that is not in a call of its environment but busy with
# something else, such as compiling its policy.
_MORE_PATIENCE = 10
_STOP_S = 10.0


@dataclass(frozen=True)
class Answer:
    """An env runner's answer to a request.

    Attributes:
        incarnation: Identifies the process among restarts of the env runner.
        machine: Network address of the process.
        chunks: The records, in order.
        metrics: Metrics since the previous answer.
    """

    incarnation: tuple[int, ...]
    machine: str
    chunks: list[RecordChunk]
    metrics: ResultDict


@dataclass
class PendingCall:
    """An unanswered call of an env runner.

    Attributes:
        answer: Reference to the future answer.
        asked_at: Time of the call, or of the previous answer, by the monotonic clock.
        records: Number of records requested.
        updates: Updates behind the weights that were sent with the call.
        missed: Whether a late answer has been logged.
    """

    answer: ray.ObjectRef
    asked_at: float
    records: int = 0
    updates: int = 0
    missed: bool = False


class RemoteSampler(Sampler):
    """Sends requests to the healthy env runners of a group, and recovers the others.

    An env runner processes its requests in order. If its environment hangs, it is killed, and Ray
    restarts it. Lost env runners are polled, not waited for.

    Attributes:
        replaced: Number of env runners lost and recovered since this process began.
    """

    def __init__(
        self,
        group: EnvRunnerGroup,
        *,
        restart: bool,
        timeout_s: float | None,
        tolerated_failures: int,
    ):
        """Take over a group.

        Args:
            group: The env runners.
            restart: Whether Ray restarts lost env runners.
            timeout_s: Seconds without an answer after which an env runner is replaced; None for
                never.
            tolerated_failures: Failures in a row of one env runner that do not end the run.
        """
        super().__init__(group)
        self._manager = group._worker_manager
        self._restart, self._timeout_s = restart, timeout_s
        self._tolerated_failures = tolerated_failures
        self._failures: dict[int, ConsecutiveFailures] = {}
        self._find_added()
        self._incarnations: dict[int, tuple[int, ...]] = {}
        self._machines: dict[int, str] = {}
        # Unanswered, by env runner; none is empty.
        self._requests: dict[int, deque[PendingCall]] = {}
        self._pings: dict[int, PendingCall] = {}
        self._metrics: list[ResultDict] = []
        self._last_loss = ""
        self.replaced = 0

    def take_metrics(self) -> list[ResultDict]:
        taken, self._metrics = self._metrics, []
        return taken

    def results(self) -> dict[str, float]:
        return {"num_env_runners_replaced_lifetime": self.replaced}

    @property
    def placement(self) -> list[str] | None:
        healthy = self._manager.healthy_actor_ids()
        if not self._machines.keys() >= set(healthy):
            return None
        return [self._machines[index] for index in healthy]

    def _healthy(self) -> list[int]:
        """Return indices of healthy env runners; drop requests to removed ones.

        Raises:
            EnvironmentFailedError: If all env runners have died and Ray does not restart them.
        """
        if not self._restart and not self._manager.num_healthy_actors():
            raise EnvironmentFailedError(
                f"All env runners have died, and restart_failed_env_runners is False. The last: "
                f"{self._last_loss}"
            )
        for index in self._requests.keys() - set(self._manager.actor_ids()):
            del self._requests[index]
        return list(self._manager.healthy_actor_ids())

    def _send(
        self,
        index: int,
        request: SampleRequest,
        state: dict[str, Any] | None = None,
        updates: int = 0,
    ) -> None:
        """Send one request to an env runner, optionally with a state to set first."""
        actor = self._manager.actors()[index]
        answer = actor.apply.remote(_sample, arguments=request.arguments, state=state)
        call = PendingCall(answer, time.monotonic(), request.records, updates)
        self._requests.setdefault(index, deque()).append(call)

    def _receive(self, index: int) -> Answer | None:
        """Return an env runner's next answer; None if it has not arrived or the call failed."""
        request = self._requests[index][0]
        ready, _ = ray.wait([request.answer], timeout=0)
        if not ready:
            self._check_timeout(index, request)
            return None
        self._pop(index)
        try:
            answer: Answer | Exception = ray.get(ready[0])
        except ray.exceptions.RayError as error:
            self._mark_lost(index, self._status_of(index) or _death(error), error)
            return None
        if isinstance(answer, Exception):
            # Repeating the request would not help.
            name = name_of(index, evaluation=False)
            raise type(answer)(f"{name}: {answer}") from answer
        if self._incarnations.setdefault(index, answer.incarnation) != answer.incarnation:
            # The new process has no weights yet.
            self._mark_lost(index, "its process has died between two calls", None)
            return None
        self._machines[index] = answer.machine
        self._failures[index].succeeded(
            sum(chunk.env_steps() for chunk in answer.chunks),
            sum(int(chunk.columns[IS_LAST].sum()) for chunk in answer.chunks),
        )
        return answer

    def _pop(self, index: int) -> None:
        """Remove an env runner's first request; the timeout of the next one begins now."""
        requests = self._requests[index]
        requests.popleft()
        if requests:
            requests[0].asked_at = time.monotonic()
        else:
            del self._requests[index]

    def _check_timeout(self, index: int, request: PendingCall) -> None:
        """Replace an env runner whose answer has timed out."""
        silent_s = time.monotonic() - request.asked_at
        if self._timeout_s is None or silent_s < self._timeout_s:
            return
        doing = self._status_of(index)
        if doing is None and silent_s < self._timeout_s * _MORE_PATIENCE:
            if not request.missed:
                name = name_of(index, evaluation=False)
                logger.warning("%s has not answered within %g s.", name, self._timeout_s)
                request.missed = True
            return
        doing = doing or f"{name_of(index, evaluation=False)} does not respond"
        self._kill(index, f"{doing}. It did not answer within {self._timeout_s:g} s")

    def find_restarted(self) -> list[int]:
        """Return indices of recreated or added env runners, without waiting for any.

        They have no weights yet, and the seeds of a restart.

        Raises:
            EnvironmentFailedError: If an env runner cannot be restarted.
        """
        back = self._find_added()
        for index in self._manager.actor_ids() if self._restart else ():
            if self._manager.is_actor_healthy(index):
                continue
            if index not in self._pings:
                answer = self._manager.actors()[index].ping.remote()
                self._pings[index] = PendingCall(answer, time.monotonic())
            ready, _ = ray.wait([self._pings[index].answer], timeout=0)
            if not ready:
                self._check_timeout(index, self._pings[index])
                continue
            del self._pings[index]
            try:
                ray.get(ready[0])
            except ray.exceptions.ActorUnavailableError:
                continue  # It is starting.
            except ray.exceptions.RayError as error:
                self._mark_lost(index, self._status_of(index) or _death(error), error)
                continue
            self._manager.set_actor_state(index, healthy=True)
            self._requests.pop(index, None)
            self._incarnations.pop(index, None)
            self._machines.pop(index, None)
            self.replaced += 1
            back.append(index)
        return back

    def _find_added(self) -> list[int]:
        """Return indices of env runners added since the last call; drop removed ones."""
        indices = self._manager.actor_ids()
        new = [index for index in indices if index not in self._failures]
        self._failures = {
            index: self._failures.get(index) or ConsecutiveFailures(self._tolerated_failures)
            for index in indices
        }
        return new

    def call_remote(
        self, method: str, arguments: dict[str, Any], only: list[int] | None = None
    ) -> None:
        """Call env runners after their pending requests, whose records are dropped.

        Do not wait beyond the timeout: slower env runners run the call later.
        """
        if only is None:
            self._requests.clear()
        self._manager.foreach_actor(
            method, kwargs=arguments, remote_actor_ids=only, timeout_seconds=self._timeout_s
        )

    def stop(self) -> None:
        self._manager.foreach_actor(lambda runner: runner.stop(), timeout_seconds=_STOP_S)
        self._manager.clear()

    def _status_of(self, index: int) -> str | None:
        return take_status(self._manager.actors()[index])

    def _kill(self, index: int, why: str) -> None:
        self._pings.pop(index, None)
        ray.kill(self._manager.actors()[index], no_restart=False)
        self._mark_lost(index, f"{why} and is replaced", None)

    def _mark_lost(self, index: int, why: str, error: Exception | None) -> None:
        """Mark an env runner as lost.

        Raises:
            EnvironmentFailedError: If failures are not to be ignored, or were too many.
        """
        self._requests.pop(index, None)
        self._manager.set_actor_state(index, healthy=False)
        name = name_of(index, evaluation=False)
        text = why if why.startswith(name) else f"{name}: {why}"
        if not self._group._ignore_ray_errors_on_env_runners:
            raise EnvironmentFailedError(text) from error
        self._last_loss = f"{text.rstrip('.')}."
        logger.warning("%s", self._last_loss)
        failures = self._failures[index]
        if failures.failed():
            raise EnvironmentFailedError(f"{self._last_loss} {failures}.") from error


def _death(error: Exception) -> str:
    """Describe an env runner's death in one line; Ray's own message fills a screen."""
    return f"its process has died ({type(error).__name__})"


def _sample(
    runner: DreamerV3EnvRunner, *, arguments: dict[str, Any], state: dict[str, Any] | None
) -> Answer | Exception:
    """Sample in an env runner's process.

    Returns:
        The records, or an error that a restart would only repeat. Other errors are posted for the
        driver, and raised.
    """
    try:
        if state is not None:
            runner.set_state(state)
        chunks = runner.sample(**arguments)
        return Answer(runner.incarnation, this_machine(), chunks, runner.get_metrics())
    except (CallbackFailedError, EnvironmentDataError) as error:
        # Returned, since RLlib ends this process if it raises, and Ray restarts it.
        return error
    except Exception as error:
        if isinstance(error, RepeatedFailuresError) and runner.config.restart_failed_env_runners:
            return error
        post_status(describe(error) + user_location(error))
        raise
