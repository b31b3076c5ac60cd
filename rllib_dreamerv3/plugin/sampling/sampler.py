"""The interface of sampling, whether env runners are local, synchronous or asynchronous."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.plugin.sampling.request import SampleRequest
from rllib_dreamerv3.records import RecordChunk


class Sampler(ABC):
    """Collects records from the env runners of a group, and sends them new weights.

    Attributes:
        concurrent: Whether env runners sample while updates run, so that records must be stored
            between any two updates.
    """

    concurrent = False

    def __init__(self, group: EnvRunnerGroup):
        """Take over a group.

        Args:
            group: The env runners.
        """
        self._group = group

    @abstractmethod
    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        """Return records of env runners, in order for each stream.

        Args:
            request: The request to send to env runners.

        Raises:
            CallbackFailedError: If a callback raises an exception.
            EnvironmentDataError: If an environment returns values that its spaces do not declare.
            EnvironmentFailedError: If an env runner failed too often in a row, or all have died.
        """

    def while_busy(self, request: SampleRequest) -> AbstractContextManager[None]:
        """Return a context in which the caller updates the networks, and must not use the sampler.

        A concurrent sampler sends requests in the background.
        """
        return nullcontext()

    @abstractmethod
    def send_weights(self) -> None:
        """Send the learner's weights to env runners, with their next request at the latest."""

    @abstractmethod
    def take_metrics(self) -> list[ResultDict]:
        """Return env-runner metrics since the last call; empty if no env runner has answered."""

    def find_restarted(self) -> list[int]:
        """Return indices of recreated or added env runners, without waiting for any."""
        return []

    def call_remote(
        self, method: str, arguments: dict[str, Any], only: list[int] | None = None
    ) -> None:
        """Call a method of remote env runners, if there are any.

        Args:
            method: Name of a method of ``DreamerV3EnvRunner``.
            arguments: Its arguments; object references are resolved.
            only: Indices of the env runners to call; by default all healthy ones.
        """
        return

    def results(self) -> dict[str, float]:
        """Return sampling metrics since the last results, by name."""
        return {}

    @property
    def placement(self) -> list[str] | None:
        """Machines of the healthy remote env runners; None until all have answered."""
        return []

    def stop(self) -> None:
        """End remote env runners."""
        return


class LocalSampler(Sampler):
    """Steps the environments of the env runner in this process."""

    def __init__(self, group: EnvRunnerGroup, send_weights: Callable[[], None] | None):
        """Take over a group.

        Args:
            group: A group with only a local env runner.
            send_weights: Copies the learner's weights to it; None if it acts with the learner's
                networks.
        """
        super().__init__(group)
        self._send_weights = send_weights

    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        chunks: list[RecordChunk] = self._group.local_env_runner.sample(**request.arguments)
        return chunks

    def send_weights(self) -> None:
        if self._send_weights is not None:
            self._send_weights()

    def take_metrics(self) -> list[ResultDict]:
        # Reducing metrics is too expensive to do for every sample.
        return [self._group.local_env_runner.get_metrics()]
