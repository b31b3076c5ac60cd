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
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.plugin.sampling.remote import PAUSE_S, Answer, RemoteSampling
from rllib_dreamerv3.plugin.sampling.request import Demand
from rllib_dreamerv3.records import RecordChunk


class Meanwhile:
    """Repeats small pieces of work while the caller is inside :meth:`busy`, and never outside.

    So the work needs no locks: it may use whatever the caller leaves alone while it is busy.
    """

    def __init__(self, work: Callable[[], None], pause: Callable[[], None]):
        """Starts a thread that has nothing to do yet.

        Args:
            work: One piece. An exception of it ends the work, and is raised where the caller was
                busy.
            pause: Waits for the next piece; may go on while the caller is no longer busy.
        """
        self._work, self._pause = work, pause
        self._busy, self._working = threading.Event(), threading.Lock()
        self._is_over = False
        self._error: Exception | None = None
        threading.Thread(target=self._run, daemon=True, name="sampling meanwhile").start()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Lets the other thread work while what is inside runs."""
        self._busy.set()
        try:
            yield
        finally:
            self._busy.clear()
            with self._working:  # The last piece has ended.
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


class AsynchronousSampling(RemoteSampling):
    """Keeps env runners at work as far as their records may be ahead of updates.

    Answers are taken as they come, and nobody waits for an env runner that is slower. Weights are
    put into Ray's object store once, and each request carries a reference to the newest. While an
    update runs, another thread takes answers and sends requests.
    """

    def __init__(
        self,
        *args: Any,
        max_requests: int,
        broadcast_interval: int,
        get_weights: Callable[[], Any],
        **kwargs: Any,
    ):
        """Takes over a group, see :class:`RemoteSampling`.

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
        self._demand: Demand | None = None
        # The next answer of each env runner.
        self._awaited: list[ray.ObjectRef] = []
        self._meanwhile = Meanwhile(self._take_and_ask, self._wait_for_first)

    def sample(self, demand: Demand) -> tuple[list[RecordChunk], list[ResultDict]]:
        """Takes what has come and asks for more; waits only if no update is due."""
        self._demand = demand
        self._renew_weights()
        self._take_and_ask()
        if not self._taken and demand.urgent:
            self._wait_for_first()
            self._take_and_ask()
        taken, self._taken = self._taken, []
        ages = [demand.updates - updates for _, updates in taken]
        self._oldest_weights = max([self._oldest_weights, *ages])
        return [x for good, _ in taken for x in good.chunks], [good.metrics for good, _ in taken]

    def while_busy(self, demand: Demand) -> AbstractContextManager[None]:
        """Takes answers and asks for more while the caller updates the networks.

        Args:
            demand: What env runners are asked for meanwhile.

        Returns:
            A context in which the caller must not use this object, and which raises what
            :meth:`sample` does. The answers are for the next call of it.
        """
        self._demand = demand
        # Now: the learner has none to give while it changes them.
        self._renew_weights()
        return self._meanwhile.busy()

    def results(self) -> dict[str, float]:
        """Adds what is in flight, and how old weights were (``weights_age_max``, in updates)."""
        oldest, self._oldest_weights = self._oldest_weights, 0
        return {
            **super().results(),
            "num_records_in_flight": self.records_in_flight,
            "weights_age_max": oldest,
        }

    def call(self, method: str, arguments: dict[str, Any], only: list[int] | None = None) -> None:
        """As for all ways of sampling; the weights may be others then, and are sent anew."""
        if only is None:
            self._taken.clear()
        self._broadcast = None
        super().call(method, arguments, only)

    def stop(self) -> None:
        """As for all ways of sampling."""
        self._meanwhile.stop()
        super().stop()

    @property
    def records_in_flight(self) -> int:
        """Records that were asked for and have not come."""
        return sum(x.records for requests in self._requests.values() for x in requests)

    def _take_and_ask(self) -> None:
        """Takes all answers that have come, and asks for more."""
        well, demand, broadcast = self._find_well(), self._demand, self._broadcast
        assert demand is not None
        assert broadcast is not None
        self._take_all()
        self._ask_for_more(well, demand, broadcast)
        self._awaited = [requests[0].answer for requests in self._requests.values()]

    def _ask_for_more(self, well: list[int], demand: Demand, broadcast: _Broadcast) -> None:
        """Sends requests as long as there is room, first to env runners that have fewest."""
        taken = sum(len(chunk) for answer, _ in self._taken for chunk in answer.chunks)
        room = demand.room - taken - self.records_in_flight
        for waiting in range(self._max_requests):
            for index in well:
                if room < demand.records:
                    return
                lost = not self._manager.is_actor_healthy(index)
                if lost or len(self._requests.get(index, ())) > waiting:
                    continue
                self._ask(index, demand, broadcast.state, broadcast.updates)
                room -= demand.records

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
        demand, last = self._demand, self._broadcast
        assert demand is not None
        # Fewer updates than before: the learner's state was set to another.
        if last is not None and 0 <= demand.updates - last.updates < self._broadcast_interval:
            return
        self._num_broadcasts += 1
        reference = ray.put(self._get_weights())
        # Env runners ignore numbers that are not higher than the last one.
        state = {COMPONENT_RL_MODULE: reference, WEIGHTS_SEQ_NO: self._num_broadcasts}
        self._broadcast = _Broadcast(state, demand.updates)

    def _wait_for_first(self) -> None:
        waited, timeout = self._awaited, min(_WAIT_S, self._timeout_s or math.inf)
        if waited:
            ray.wait(waited, num_returns=1, timeout=timeout)
        else:
            time.sleep(PAUSE_S)
