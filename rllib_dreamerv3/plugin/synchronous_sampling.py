"""Sampling in turn with updates: every env runner once, and all wait for the slowest."""

import time
from typing import Any

import ray
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.plugin.demand import Demand
from rllib_dreamerv3.plugin.sampling import PAUSE_S, RemoteSampling
from rllib_dreamerv3.records import RecordChunk

# Env runners wait so long for one that is slower; then they go on, and take it in when it answers.
_SLOWEST_S = 10.0


class SynchronousSampling(RemoteSampling):
    """Lets every env runner that is well, and not still at it, sample once a call.

    While all are well, their records come in the order of the env runners, so that a run depends on
    its seed alone. Where one is slower than the others by ten seconds, they go on without it, and
    its records are taken when they come.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        """Takes over a group, see :class:`RemoteSampling`."""
        super().__init__(*args, **kwargs)
        self._all_asked_before = False

    def sample(self, demand: Demand) -> tuple[list[RecordChunk], list[ResultDict]]:
        """Samples once with each; how many records there is room for makes no difference."""
        asked = [i for i in self._find_well() if i not in self._requests]
        for index in asked:
            self._ask(index, demand)
        self._wait_for(asked)
        answers = []
        for index in sorted(self._requests):
            good = self._take(index)
            if good is not None:
                answers.append(good)
        return [x for good in answers for x in good.chunks], [good.metrics for good in answers]

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
