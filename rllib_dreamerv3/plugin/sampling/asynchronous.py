"""Asynchronous sampling: env runners continue in the background while updates run."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO

from rllib_dreamerv3.plugin.sampling.remote import PAUSE_S, Answer, RemoteSampler
from rllib_dreamerv3.plugin.sampling.request import SampleRequest
from rllib_dreamerv3.records import RecordChunk


class BackgroundWork:
    """Repeats a short task in a thread while the caller is inside :meth:`busy`, and only then.

    So the task needs no locks: it may use whatever the caller does not use while it is busy.
    """

    def __init__(self, work: Callable[[], None], pause: Callable[[], None]):
        """Starts an idle thread.

        Args:
            work: The task. An exception stops the work, and is raised in the caller when it leaves
                :meth:`busy`.
            pause: Waits for the next task; may outlast :meth:`busy`.
        """
        self._work, self._pause = work, pause
        self._busy, self._working = threading.Event(), threading.Lock()
        self._is_over = False
        self._error: Exception | None = None
        threading.Thread(target=self._run, daemon=True, name="background sampling").start()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Runs the task in the background while the block runs."""
        self._busy.set()
        try:
            yield
        finally:
            self._busy.clear()
            with self._working:  # The last task has ended.
                error, self._error = self._error, None
        if error is not None:
            raise error

    def stop(self) -> None:
        """Ends the thread."""
        self._is_over = True
        self._busy.set()

    def _run(self) -> None:
        while True:
            self._busy.wait()
            if self._is_over:
                return
            with self._working:
                if not self._busy.is_set():
                    continue
                try:
                    self._work()
                except Exception as error:
                    self._error = error
                    self._busy.clear()
                    continue
            self._pause()


# The learner looks up so often from waiting for records, to end an iteration in time.
_WAIT_S = 1.0


@dataclass(frozen=True)
class _Broadcast:
    """Weights for all env runners.

    Attributes:
        state: For ``DreamerV3EnvRunner.set_state()``; holds a reference to the weights, which an
            env runner resolves if it does not have them yet.
        updates: Updates that they have seen.
    """

    state: dict[str, Any]
    updates: int


class AsynchronousSampler(RemoteSampler):
    """Keeps env runners busy as far as their records may be ahead of updates.

    Answers are taken as they arrive, without waiting for slower env runners. Weights are put into
    Ray's object store once, and each request carries a reference to the newest. While an update
    runs, a background thread takes answers and sends requests.
    """

    concurrent = True

    def __init__(
        self,
        *args: Any,
        max_requests: int,
        broadcast_interval: int,
        get_weights: Callable[[], Any],
        **kwargs: Any,
    ):
        """Takes over a group, see :class:`RemoteSampler`.

        Args:
            *args: Of the class above.
            max_requests: Most requests that are unanswered, of one env runner.
            broadcast_interval: Updates after which no request is sent with the same weights.
            get_weights: Returns the learner's weights, as env runners' state has them.
            **kwargs: Of the class above.
        """
        super().__init__(*args, **kwargs)
        self._max_requests, self._broadcast_interval = max_requests, broadcast_interval
        self._get_weights = get_weights
        self._broadcast: _Broadcast | None = None
        self._num_broadcasts = 0
        # Answers that nobody has been given yet, with the updates that their weights had seen.
        self._taken: list[tuple[Answer, int]] = []
        self._oldest_weights = 0
        self._request: SampleRequest | None = None
        # The next answer of each env runner.
        self._awaited: list[ray.ObjectRef] = []
        self._background = BackgroundWork(self._take_and_ask, self._wait_for_first)

    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        """Takes what has arrived and requests more; waits only if no update is due."""
        self._request = request
        self._renew_weights()
        self._take_and_ask()
        if not self._taken and request.urgent:
            self._wait_for_first()
            self._take_and_ask()
        taken, self._taken = self._taken, []
        ages = [request.updates - updates for _, updates in taken]
        self._oldest_weights = max([self._oldest_weights, *ages])
        self._metrics += [answer.metrics for answer, _ in taken]
        return [chunk for answer, _ in taken for chunk in answer.chunks]

    def publish_weights(self) -> None:
        """Does nothing: requests carry the weights."""

    def while_busy(self, request: SampleRequest) -> AbstractContextManager[None]:
        """Takes answers and requests more while the caller updates the networks.

        The records are for the next :meth:`collect`, whose errors the context raises.
        """
        self._request = request
        # Now: while an update runs, the learner cannot give its weights.
        self._renew_weights()
        return self._background.busy()

    def results(self) -> dict[str, float]:
        """Adds records in flight and the age of weights (``weights_age_max``, in updates)."""
        oldest, self._oldest_weights = self._oldest_weights, 0
        return {
            **super().results(),
            "num_records_in_flight": self.records_in_flight,
            "weights_age_max": oldest,
        }

    def call_remote(
        self, method: str, arguments: dict[str, Any], only: list[int] | None = None
    ) -> None:
        """Drops what has arrived too, and sends the weights again, which may be others now."""
        if only is None:
            self._taken.clear()
        self._broadcast = None
        super().call_remote(method, arguments, only)

    def stop(self) -> None:
        """Ends the background thread, then the env runners."""
        self._background.stop()
        super().stop()

    @property
    def records_in_flight(self) -> int:
        """Records that were asked for and have not come."""
        return sum(x.records for requests in self._requests.values() for x in requests)

    def _take_and_ask(self) -> None:
        """Takes all answers that have come, and asks for more."""
        well, request, broadcast = self._find_well(), self._request, self._broadcast
        assert request is not None
        assert broadcast is not None
        self._take_all()
        self._ask_for_more(well, request, broadcast)
        self._awaited = [requests[0].answer for requests in self._requests.values()]

    def _ask_for_more(self, well: list[int], request: SampleRequest, broadcast: _Broadcast) -> None:
        """Sends requests as long as there is room, first to env runners that have fewest."""
        taken = sum(len(chunk) for answer, _ in self._taken for chunk in answer.chunks)
        room = request.room - taken - self.records_in_flight
        for waiting in range(self._max_requests):
            for index in well:
                if room < request.records:
                    return
                lost = not self._manager.is_actor_healthy(index)
                if lost or len(self._requests.get(index, ())) > waiting:
                    continue
                self._ask(index, request, broadcast.state, broadcast.updates)
                room -= request.records

    def _take_all(self) -> None:
        """Takes all answers that have come; those of one env runner in their order."""
        for index in sorted(self._requests):
            while index in self._requests:
                updates = self._requests[index][0].updates
                good = self._take(index)
                if good is None:
                    break
                self._taken.append((good, updates))

    def _renew_weights(self) -> None:
        """Makes ready the weights for requests that are sent from now on."""
        request, last = self._request, self._broadcast
        assert request is not None
        # Fewer updates than before: the learner's state was set to another.
        if last is not None and 0 <= request.updates - last.updates < self._broadcast_interval:
            return
        self._num_broadcasts += 1
        reference = ray.put(self._get_weights())
        # Env runners ignore numbers that are not higher than the last one.
        state = {COMPONENT_RL_MODULE: reference, WEIGHTS_SEQ_NO: self._num_broadcasts}
        self._broadcast = _Broadcast(state, request.updates)

    def _wait_for_first(self) -> None:
        waited, timeout = self._awaited, min(_WAIT_S, self._timeout_s or math.inf)
        if waited:
            ray.wait(waited, num_returns=1, timeout=timeout)
        else:
            time.sleep(PAUSE_S)
