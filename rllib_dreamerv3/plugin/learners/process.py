"""A learner in a process of its own, and how several of them are started."""

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import ray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

from rllib_dreamerv3.agent.replicas import WorkerReplicas
from rllib_dreamerv3.errors import LearnerFailedError, ResourceError
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.records import Columns
from rllib_dreamerv3.startup.devices import use_devices_of_a_learner

logger = logging.getLogger(__name__)

T = TypeVar("T")
# A process that has room is there within this time.
_PLACING_S = 60.0


class LearnerProcess:
    """What Ray runs in the process.

    Attributes:
        learner: The learner, once :meth:`build` was called.
    """

    learner: DreamerV3Learner

    def address(self) -> str:
        """A network address at which nobody listens yet, ``host:port``."""
        host = ray.util.get_node_ip_address()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
            free.bind((host, 0))
            port = free.getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def build(self, config: Any, module_spec: Any, addresses: Sequence[str], index: int) -> None:
        """Builds the learner; several wait for each other.

        Args:
            config: A ``DreamerV3Config``.
            module_spec: Of the networks.
            addresses: Where each learner is found, in their order.
            index: The place of this one among them.

        Raises:
            ResourceError: If it is to learn on a GPU and there is none.
        """
        use_devices_of_a_learner(config.num_gpus_per_learner)
        # Before the networks: collectives must be known to TensorFlow before its first operation.
        replicas = WorkerReplicas(addresses, index) if len(addresses) > 1 else None
        self.learner = config.learner_class(config=config, module_spec=module_spec)
        if replicas is not None:
            self.learner.replicas = replicas
        self.learner.build()

    def update(self, columns: Columns, timesteps: Mapping[str, Any]) -> Columns:
        """Does one update with rows of the batch; see :meth:`DreamerV3Learner.update`."""
        steps = self.learner.config.records_per_update
        batch = MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(columns)}, env_steps=steps)
        return self.learner.update(batch, timesteps=dict(timesteps))

    def apply(self, function: Callable[[DreamerV3Learner], T]) -> T:
        """Calls a function on the learner."""
        return function(self.learner)

    def set_state(self, state: Any) -> None:
        """Gives the learner what another one's ``get_state()`` has returned."""
        self.learner.set_state(state)


def start_learners(config: Any, module_spec: Any, state: Any = None) -> list[Any]:
    """Starts as many processes as the config asks for, all with the same networks.

    Args:
        config: A ``DreamerV3Config`` with ``num_learners`` of at least 1.
        module_spec: Of the networks.
        state: What they begin with, as a learner's ``get_state()`` gives it; None for new networks.

    Returns:
        Their actors.

    Raises:
        ResourceError: They are to learn on GPUs, and one sees none.
        LearnerFailedError: One cannot be started.
    """
    cpus = config.num_cpus_per_learner
    if cpus == "auto":
        cpus = 0 if config.num_gpus_per_learner else 1
    # Not restarted by Ray: one that is alone would wait for learners that have left it.
    actor = ray.remote(LearnerProcess).options(
        num_cpus=cpus,
        num_gpus=config.num_gpus_per_learner,
        resources=config.custom_resources_per_learner or None,
        max_restarts=0,
    )
    actors = [actor.remote() for _ in range(config.num_learners)]
    try:
        addresses = _when_placed([x.address.remote() for x in actors], cpus, config)
        ray.get([x.build.remote(config, module_spec, addresses, i) for i, x in enumerate(actors)])
        # Without a seed, each has made networks of its own.
        followers = actors[1:] if state is None else actors
        if followers:
            given = actors[0].apply.remote(_state_of) if state is None else ray.put(state)
            ray.get([x.set_state.remote(given) for x in followers])
    except ray.exceptions.RayError as error:
        stop(actors)
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, ResourceError):
            raise cause from None
        raise LearnerFailedError(f"A learner could not be started. {cause}") from error
    return actors


def _when_placed(calls: list[ray.ObjectRef], cpus: float, config: Any) -> list[str]:
    """Answers of processes that Ray may have no room for yet; says so if that takes long."""
    _, waiting = ray.wait(calls, num_returns=len(calls), timeout=_PLACING_S)
    if waiting:
        free = ray.available_resources()
        logger.warning(
            "%d of %d learners wait for Ray to place them. Each asks for %g CPUs and %g GPUs, of "
            "which the cluster has %g and %g free: add machines, or end what holds them.",
            len(waiting),
            len(calls),
            cpus,
            config.num_gpus_per_learner,
            free.get("CPU", 0),
            free.get("GPU", 0),
        )
    return ray.get(calls)


def stop(actors: Sequence[Any]) -> None:
    """Ends processes, whatever they are doing."""
    for actor in actors:
        ray.kill(actor)


def _state_of(learner: DreamerV3Learner) -> Any:
    return learner.get_state()
