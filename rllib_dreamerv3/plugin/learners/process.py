"""A learner process, and how several are started."""

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import ray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

from rllib_dreamerv3.agent.replicas import WorkerReplicas
from rllib_dreamerv3.errors import LearnerFailedError, ResourceError
from rllib_dreamerv3.plugin.cluster.resources import cpus_per_learner
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.records import Columns
from rllib_dreamerv3.startup.devices import use_devices_of_a_learner

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Time for scheduling the processes, after which a warning is logged.
_PLACING_S = 60.0


class LearnerProcess:
    """The Ray actor of a learner.

    Attributes:
        learner: The learner, after :meth:`build`.
    """

    learner: DreamerV3Learner

    def address(self) -> str:
        """Return a free network address of this machine, ``host:port``."""
        host = ray.util.get_node_ip_address()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
            free.bind((host, 0))
            port = free.getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def build(self, config: Any, module_spec: Any, addresses: Sequence[str], index: int) -> None:
        """Build the learner; several wait for each other.

        Args:
            config: A ``DreamerV3Config``.
            module_spec: Of the networks.
            addresses: Addresses of all learners, in order.
            index: Index of this learner in ``addresses``.

        Raises:
            ResourceError: If the config requests a GPU and there is none.
        """
        use_devices_of_a_learner(config.num_gpus_per_learner)
        # Before the networks: TensorFlow configures collectives before its first operation.
        replicas = WorkerReplicas(addresses, index) if len(addresses) > 1 else None
        self.learner = config.learner_class(config=config, module_spec=module_spec)
        if replicas is not None:
            self.learner.replicas = replicas
        self.learner.build()

    def update(self, columns: Columns, timesteps: Mapping[str, Any]) -> Columns:
        """Run one update with a part of the batch, see :meth:`DreamerV3Learner.update`."""
        steps = self.learner.config.records_per_update
        batch = MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(columns)}, env_steps=steps)
        return self.learner.update(batch, timesteps=dict(timesteps))

    def apply(self, function: Callable[[DreamerV3Learner], T]) -> T:
        return function(self.learner)

    def set_state(self, state: Any) -> None:
        self.learner.set_state(state)


def start_learners(config: Any, module_spec: Any, state: Any = None) -> list[Any]:
    """Start ``num_learners`` processes with the same networks.

    Args:
        config: A ``DreamerV3Config`` with ``num_learners`` of at least 1.
        module_spec: Of the networks.
        state: Initial state, as a learner's ``get_state()`` returns it; None for new networks.

    Returns:
        The actors.

    Raises:
        ResourceError: If the config requests GPUs, and a learner has none.
        LearnerFailedError: If a learner cannot be started.
    """
    cpus = cpus_per_learner(config)
    # Not restarted by Ray: a single restarted learner could not rejoin the collective.
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
        # Without a seed, the learners have different networks.
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
    """Return the results of calls; log a warning if Ray takes long to place the processes."""
    _, waiting = ray.wait(calls, num_returns=len(calls), timeout=_PLACING_S)
    if waiting:
        free = ray.available_resources()
        logger.warning(
            "%d of %d learners wait for Ray to place them. Each requests %g CPUs and %g GPUs, of "
            "which the cluster has %g and %g free: add machines, or stop what uses them.",
            len(waiting),
            len(calls),
            cpus,
            config.num_gpus_per_learner,
            free.get("CPU", 0),
            free.get("GPU", 0),
        )
    return ray.get(calls)


def stop(actors: Sequence[Any]) -> None:
    """Kill processes."""
    for actor in actors:
        ray.kill(actor)


def _state_of(learner: DreamerV3Learner) -> Any:
    return learner.get_state()
