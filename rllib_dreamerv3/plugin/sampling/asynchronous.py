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

from rllib_dreamerv3.plugin.sampling.remote_sampler import PAUSE_S, Answer, RemoteSampler
from rllib_dreamerv3.plugin.sampling.request import SampleRequest
from rllib_dreamerv3.records import RecordChunk


class BackgroundWork:
    """Repeats a short task in a thread, but only while the caller is inside :meth:`busy`.

    The task needs no locks for data that the caller does not use inside.
    """

    def __init__(self, work: Callable[[], None], pause: Callable[[], None]):
        """Start an idle thread.

        Args:
            work: The task. Its exceptions end the repetition, and are raised in the caller on exit
                from :meth:`busy`.
            pause: Waits before the next repetition; may outlast :meth:`busy`.
        """
        self._work, self._pause = work, pause
        self._busy, self._working = threading.Event(), threading.Lock()
        self._is_over = False
        self._error: Exception | None = None
        threading.Thread(target=self._run, daemon=True, name="background sampling").start()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Repeat the task in the background inside the context."""
        self._busy.set()
        try:
            yield
        finally:
            self._busy.clear()
            with self._working:  # Wait for the running task.
                error, self._error = self._error, None
        if error is not None:
            raise error

    def stop(self) -> None:
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


# Limit on waiting for records, so that iterations end in time.
_WAIT_S = 1.0


@dataclass(frozen=True)
class _Broadcast:
    """Weights for all env runners.

    Attributes:
        state: Argument of ``DreamerV3EnvRunner.set_state()``, with a reference to the weights that
            an env runner resolves if it does not have them yet.
        updates: Number of updates behind the weights.
    """

    state: dict[str, Any]
    updates: int


class AsynchronousSampler(RemoteSampler):
    """Keeps env runners busy, within the limit on records ahead of updates.

    Takes answers as they arrive, without waiting for slower env runners. Weights are put into Ray's
    object store once; each request carries a reference to the newest. While an update runs, a
    background thread takes answers and sends requests.
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
        """Take over a group, see :class:`RemoteSampler`.

        Args:
            *args: Of the base class.
            max_requests: Limit on unanswered requests of one env runner.
            broadcast_interval: Updates after which requests carry new weights.
            get_weights: Returns the learner's weights, as in env runners' state.
            **kwargs: Of the base class.
        """
        super().__init__(*args, **kwargs)
        self._max_requests, self._broadcast_interval = max_requests, broadcast_interval
        self._get_weights = get_weights
        self._broadcast: _Broadcast | None = None
        self._num_broadcasts = 0
        # Answers not yet collected, with the number of updates behind their weights.
        self._taken: list[tuple[Answer, int]] = []
        self._oldest_weights = 0
        self._request: SampleRequest | None = None
        # References to the next answer of each env runner.
        self._awaited: list[ray.ObjectRef] = []
        self._background = BackgroundWork(self._receive_and_send, self._wait_for_first)

    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        """Take arrived answers and request more; wait only if no update is due."""
        self._request = request
        self._renew_weights()
        self._receive_and_send()
        if not self._taken and request.urgent:
            self._wait_for_first()
            self._receive_and_send()
        taken, self._taken = self._taken, []
        ages = [request.updates - updates for _, updates in taken]
        self._oldest_weights = max([self._oldest_weights, *ages])
        self._metrics += [answer.metrics for answer, _ in taken]
        return [chunk for answer, _ in taken for chunk in answer.chunks]

    def send_weights(self) -> None:
        """Do nothing: requests carry the weights."""

    def while_busy(self, request: SampleRequest) -> AbstractContextManager[None]:
        """Take answers and request more in the background.

        The next :meth:`collect` returns the records. The context raises its errors on exit.
        """
        self._request = request
        # Before the update, during which the learner's weights are not available.
        self._renew_weights()
        return self._background.busy()

    def results(self) -> dict[str, float]:
        """Add records in flight and the age of weights (``weights_age_max``, in updates)."""
        oldest, self._oldest_weights = self._oldest_weights, 0
        return {
            **super().results(),
            "num_records_in_flight": self.records_in_flight,
            "weights_age_max": oldest,
        }

    def call_remote(
        self, method: str, arguments: dict[str, Any], only: list[int] | None = None
    ) -> None:
        """Also drops arrived records, and sends the weights again, which may have changed."""
        if only is None:
            self._taken.clear()
        self._broadcast = None
        super().call_remote(method, arguments, only)

    def stop(self) -> None:
        self._background.stop()
        super().stop()

    @property
    def records_in_flight(self) -> int:
        """Number of requested records that have not arrived."""
        return sum(x.records for requests in self._requests.values() for x in requests)

    def _receive_and_send(self) -> None:
        healthy, request, broadcast = self._healthy(), self._request, self._broadcast
        assert request is not None
        assert broadcast is not None
        self._receive_all()
        self._send_more(healthy, request, broadcast)
        self._awaited = [requests[0].answer for requests in self._requests.values()]

    def _send_more(self, healthy: list[int], request: SampleRequest, broadcast: _Broadcast) -> None:
        """Send requests up to the limit, first to the env runners with the fewest."""
        taken = sum(len(chunk) for answer, _ in self._taken for chunk in answer.chunks)
        room = request.room - taken - self.records_in_flight
        for waiting in range(self._max_requests):
            for index in healthy:
                if room < request.records:
                    return
                lost = not self._manager.is_actor_healthy(index)
                if lost or len(self._requests.get(index, ())) > waiting:
                    continue
                self._send(index, request, broadcast.state, broadcast.updates)
                room -= request.records

    def _receive_all(self) -> None:
        for index in sorted(self._requests):
            while index in self._requests:
                updates = self._requests[index][0].updates
                good = self._receive(index)
                if good is None:
                    break
                self._taken.append((good, updates))

    def _renew_weights(self) -> None:
        """Replace the weights that new requests carry, if they are too old."""
        request, last = self._request, self._broadcast
        assert request is not None
        # Fewer updates than before: the learner's state was restored.
        if last is not None and 0 <= request.updates - last.updates < self._broadcast_interval:
            return
        self._num_broadcasts += 1
        reference = ray.put(self._get_weights())
        # Env runners ignore sequence numbers that are not higher than their last one.
        state = {COMPONENT_RL_MODULE: reference, WEIGHTS_SEQ_NO: self._num_broadcasts}
        self._broadcast = _Broadcast(state, request.updates)

    def _wait_for_first(self) -> None:
        waited, timeout = self._awaited, min(_WAIT_S, self._timeout_s or math.inf)
        if waited:
            ray.wait(waited, num_returns=1, timeout=timeout)
        else:
            time.sleep(PAUSE_S)
