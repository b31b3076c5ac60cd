"""Samples with all remote env runners at once."""

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.rllib.env.env_runner_group import EnvRunnerGroup

from rllib_dreamerv3.plugin.sampling.remote_sampler import PAUSE_S, RemoteSampler
from rllib_dreamerv3.plugin.sampling.request import SampleRequest
from rllib_dreamerv3.records import RecordChunk

# Timeout of a round for slower env runners, after which the others continue.
_SLOWEST_S = 10.0


class SynchronousSampler(RemoteSampler):
    """Samples once per call with every healthy env runner that has no pending request.

    While all are healthy, records come in the order of the env runners, so that a run depends only
    on its seed. If an env runner takes longer than ten seconds, the others continue without it,
    and its records are taken when they arrive.
    """

    def __init__(self, group: EnvRunnerGroup, send_weights: Callable[[], None], **options: Any):
        """Take over a group.

        Args:
            group: The env runners.
            send_weights: Sends the learner's weights to all env runners.
            **options: See :class:`RemoteSampler`.
        """
        super().__init__(group, **options)
        self._send_weights = send_weights
        self._all_asked_before = False

    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        """Sample once with each; ignore ``request.room``."""
        asked = [i for i in self._healthy() if i not in self._requests]
        for index in asked:
            self._send(index, request)
        self._wait_for(asked)
        chunks = []
        for index in sorted(self._requests):
            answer = self._receive(index)
            if answer is not None:
                chunks += answer.chunks
                self._metrics.append(answer.metrics)
        return chunks

    def send_weights(self) -> None:
        self._send_weights()

    def _wait_for(self, asked: list[int]) -> None:
        waited = [self._requests[index][0].answer for index in asked]
        if not waited:
            time.sleep(PAUSE_S)
            return
        patience = self._timeout_s
        # Env runners compile their policies in the first call.
        if self._all_asked_before:
            patience = min(_SLOWEST_S, patience or _SLOWEST_S)
        self._all_asked_before = True
        ray.wait(waited, num_returns=len(waited), timeout=patience)
