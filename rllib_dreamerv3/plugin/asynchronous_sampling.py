"""Sampling beside learning: env runners go on while updates run."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.plugin.demand import Demand
from rllib_dreamerv3.plugin.sampling import PAUSE_S, Answer, RemoteSampling
from rllib_dreamerv3.records import RecordChunk

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
    """Keeps requests waiting at every env runner, as far as records may be ahead of updates.

    Answers are taken as they come, and nobody waits for an env runner that is slower. Weights are
    put into Ray's object store once, and each request carries a reference to the newest.
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
        self._oldest_weights = 0

    def sample(self, demand: Demand) -> tuple[list[RecordChunk], list[ResultDict]]:
        """Takes what has come and asks for more; waits only if no update is due."""
        well = self._find_well()
        answers = self._take_all(demand.updates)
        self._ask_for_more(well, demand, answers)
        if not answers and demand.urgent:
            self._wait_for_first()
            answers = self._take_all(demand.updates)
            self._ask_for_more(self._find_well(), demand, answers)
        return [x for good in answers for x in good.chunks], [good.metrics for good in answers]

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
        super().call(method, arguments, only)
        self._broadcast = None

    @property
    def records_in_flight(self) -> int:
        """Records that were asked for and have not been taken."""
        return sum(x.records for requests in self._requests.values() for x in requests)

    def _take_all(self, updates: int) -> list[Answer]:
        """All answers that have come; those of one env runner in their order."""
        answers = []
        for index in sorted(self._requests):
            while index in self._requests:
                age = updates - self._requests[index][0].updates
                good = self._take(index)
                if good is None:
                    break
                self._oldest_weights = max(self._oldest_weights, age)
                answers.append(good)
        return answers

    def _ask_for_more(self, well: list[int], demand: Demand, answers: list[Answer]) -> None:
        """Sends requests as long as there is room, first to env runners that have fewest."""
        taken = sum(len(chunk) for answer in answers for chunk in answer.chunks)
        room = demand.room - taken - self.records_in_flight
        for waiting in range(self._max_requests):
            for index in well:
                if room < demand.records:
                    return
                lost = not self._manager.is_actor_healthy(index)
                if lost or len(self._requests.get(index, ())) > waiting:
                    continue
                weights = self._weights(demand.updates)
                self._ask(index, demand, weights.state, weights.updates)
                room -= demand.records

    def _weights(self, updates: int) -> _Broadcast:
        """The weights for a request that is sent after so many updates."""
        last = self._broadcast
        if last is None or updates - last.updates >= self._broadcast_interval:
            self._num_broadcasts += 1
            reference = ray.put(self._get_weights())
            # Env runners ignore numbers that are not higher than the last one.
            state = {COMPONENT_RL_MODULE: reference, WEIGHTS_SEQ_NO: self._num_broadcasts}
            self._broadcast = last = _Broadcast(state, updates)
        return last

    def _wait_for_first(self) -> None:
        waited = [requests[0].answer for requests in self._requests.values()]
        if waited:
            ray.wait(waited, num_returns=1, timeout=min(_WAIT_S, self._timeout_s or math.inf))
        else:
            time.sleep(PAUSE_S)
