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
    """Collects records from the env runners of a group, and gives them new weights.

    Attributes:
        concurrent: Whether env runners sample while updates run, so that records have to be stored
            between any two updates.
    """

    concurrent = False

    def __init__(self, group: EnvRunnerGroup):
        """Takes over a group.

        Args:
            group: Its env runners.
        """
        self._group = group

    @abstractmethod
    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        """Returns the records of env runners, those of each stream in order.

        Args:
            request: What to request from env runners.

        Raises:
            EnvironmentDataError: An environment returns what it does not declare.
            EnvironmentFailedError: An env runner has failed too often in a row, or none is left.
        """

    def while_busy(self, request: SampleRequest) -> AbstractContextManager[None]:
        """Returns a context inside of which the caller updates the networks.

        Env runners that are concurrent are sent requests meanwhile. Inside, the caller must not use
        the sampler.
        """
        return nullcontext()

    @abstractmethod
    def publish_weights(self) -> None:
        """Gives env runners the learner's weights, at the latest with their next request."""

    @abstractmethod
    def take_metrics(self) -> list[ResultDict]:
        """Returns the metrics of env runners since the last call; empty if none has answered."""

    def bring_back(self) -> list[int]:
        """Returns the indices of env runners that were recreated or added, without waiting."""
        return []

    def call_remote(
        self, method: str, arguments: dict[str, Any], only: list[int] | None = None
    ) -> None:
        """Calls a method of remote env runners, if there are any.

        Args:
            method: Of ``DreamerV3EnvRunner``.
            arguments: Its arguments; object references are resolved.
            only: Indices of those to call; by default all that are healthy.
        """
        return

    def results(self) -> dict[str, float]:
        """Returns sampling metrics since the last results, by name."""
        return {}

    @property
    def machines(self) -> list[str] | None:
        """Nodes of the healthy remote env runners; None until all of them have answered."""
        return []

    def stop(self) -> None:
        """Ends remote env runners."""
        return


class LocalSampler(Sampler):
    """Steps the environments of the env runner in this process."""

    def __init__(self, group: EnvRunnerGroup, publish: Callable[[], None] | None):
        """Takes over a group.

        Args:
            group: Has a local env runner alone.
            publish: Copies the learner's weights to it; None if it acts with the learner's own
                networks.
        """
        super().__init__(group)
        self._publish = publish

    def collect(self, request: SampleRequest) -> list[RecordChunk]:
        """Samples once."""
        chunks: list[RecordChunk] = self._group.local_env_runner.sample(**request.arguments)
        return chunks

    def publish_weights(self) -> None:
        """Copies the weights now."""
        if self._publish is not None:
            self._publish()

    def take_metrics(self) -> list[ResultDict]:
        """Reduces the env runner's metrics: too expensive to do it for every sample."""
        return [self._group.local_env_runner.get_metrics()]
