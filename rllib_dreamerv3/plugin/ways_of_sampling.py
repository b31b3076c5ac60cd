"""The way of sampling with remote env runners that a config asks for."""

from collections.abc import Callable
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup

from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.sampling.asynchronous import AsynchronousSampling
from rllib_dreamerv3.plugin.sampling.remote import RemoteSampling, SynchronousSampling


def remote_sampling(
    config: DreamerV3Config, group: EnvRunnerGroup, get_weights: Callable[[], Any]
) -> RemoteSampling | None:
    """Takes over the env runners of a group.

    Args:
        config: The run's.
        group: Its env runners for training.
        get_weights: Returns the learner's weights, as env runners' state has them.

    Returns:
        None if none of them is remote.
    """
    if not config.num_env_runners:
        return None
    options: dict[str, Any] = {
        "restart": config.restart_failed_env_runners,
        "timeout_s": config.sample_timeout_s,
        "tolerated_failures": config.num_consecutive_env_runner_failures_tolerance,
    }
    if not config.samples_beside_learning:
        return SynchronousSampling(group, **options)
    return AsynchronousSampling(
        group,
        max_requests=config.max_requests_in_flight_per_env_runner,
        broadcast_interval=config.resolved("broadcast_interval"),
        get_weights=get_weights,
        **options,
    )
