"""The CPUs and GPUs that a run requests from Ray, and the placement of its processes.

A run that the cluster is too small for is rejected, since Ray itself would wait forever.
"""

import functools
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from rllib_dreamerv3.errors import ResourceError
from rllib_dreamerv3.startup.system import usable_cores

AUTOSCALING_VARIABLE = "RLLIB_DREAMERV3_AUTOSCALING"
"""Environment variable: ``1`` if the cluster scales up on demand, ``0`` if it does not."""

_UNITS = 1e4  # Ray counts resources in units of 1/10,000


@dataclass(frozen=True)
class Part:
    """One kind of process of a run.

    Attributes:
        name: Name in messages, in the singular.
        count: Number of processes.
        each: Request of one process, by Ray's resource names (``CPU``, ``GPU``, custom ones).
        count_option: The option that sets ``count``; None if it is always one.
        each_options: The options that set each entry of ``each``, of which the largest applies;
            custom resources have none.
        least: The smallest working amounts in ``each``.
        fewest: The smallest working ``count``.
    """

    name: str
    count: int
    each: Mapping[str, float]
    count_option: str | None
    each_options: Mapping[str, tuple[str, ...]]
    least: Mapping[str, float] = field(default_factory=dict)
    fewest: int = 0

    def total(self, resource: str) -> float:
        return self.count * float(self.each.get(resource, 0) or 0)


def requested_parts(config: Any, *, in_tune: bool) -> list[Part]:
    """List the processes of a run and the resources they request from Ray.

    The sums are those of RLlib's ``Algorithm.default_resource_request``.

    Args:
        config: An ``AlgorithmConfig``.
        in_tune: Whether the algorithm itself is an actor, as under Ray Tune. If it is built in
            the user's process, that process requests nothing from Ray.

    Returns:
        The parts with at least one process.
    """
    local_learner = config.num_learners == 0
    learner_cpus = cpus_per_learner(config)
    aggregators = config.num_aggregator_actors_per_learner
    parts = []
    if in_tune:
        main_cpus = config.num_cpus_for_main_process
        cpu_options = {"num_cpus_for_main_process": main_cpus}
        if local_learner:
            cpu_options["num_cpus_per_learner"] = learner_cpus
        main_cpus = max(cpu_options.values())
        parts.append(
            Part(
                "main process",
                1,
                {
                    "CPU": main_cpus,
                    "GPU": config.num_gpus_per_learner if local_learner else 0,
                    **config.custom_resources_for_main_process,
                },
                None,
                {
                    "CPU": tuple(name for name, cpus in cpu_options.items() if cpus > 1),
                    "GPU": ("num_gpus_per_learner",),
                },
                least={"CPU": 1, "GPU": 0},
                fewest=1,
            )
        )
    parts.append(_env_runners(config, "env runner", "num_env_runners"))
    if not config.in_evaluation:
        evaluation = config.get_evaluation_config_object()
        if evaluation.evaluation_num_env_runners or evaluation.evaluation_interval:
            parts.append(
                _env_runners(evaluation, "evaluation env runner", "evaluation_num_env_runners")
            )
    if local_learner:
        parts.append(
            Part("aggregator", aggregators, {"CPU": 1}, "num_aggregator_actors_per_learner", {})
        )
    else:
        parts.append(
            Part(
                "learner",
                config.num_learners,
                {
                    "CPU": learner_cpus + aggregators,
                    "GPU": config.num_gpus_per_learner,
                    **(config.custom_resources_per_learner or {}),
                },
                "num_learners",
                {"CPU": ("num_cpus_per_learner",), "GPU": ("num_gpus_per_learner",)},
                # Learners can share a CPU too.
                least={"CPU": 0.01, "GPU": 0},
                # Without learners the main process would need their resources instead.
                fewest=1 if config.num_gpus_per_learner or (in_tune and learner_cpus > 1) else 0,
            )
        )
    return [part for part in parts if part.count]


def cpus_per_learner(config: Any) -> float:
    """Return the CPUs that a learner requests: those of the config, or RLlib's choice for "auto".

    Args:
        config: An ``AlgorithmConfig``.
    """
    if config.num_cpus_per_learner == "auto":
        return 0 if config.num_gpus_per_learner else 1
    return config.num_cpus_per_learner


def _env_runners(config: Any, name: str, option: str) -> Part:
    return Part(
        name,
        config.num_env_runners,
        {
            "CPU": config.num_cpus_per_env_runner,
            "GPU": config.num_gpus_per_env_runner,
            **config.custom_resources_per_env_runner,
        },
        option,
        {"CPU": ("num_cpus_per_env_runner",), "GPU": ("num_gpus_per_env_runner",)},
        # Env runners can share a CPU.
        least={"CPU": 0.01, "GPU": 0},
    )


def check_resources(
    config: Any,
    cluster: Mapping[str, float],
    *,
    in_tune: bool,
    may_grow: bool | None = None,
) -> None:
    """Reject a run that the cluster is too small for.

    Args:
        config: An ``AlgorithmConfig``.
        cluster: All resources of the cluster, as ``ray.cluster_resources()`` returns them.
        in_tune: As for :func:`requested_parts`.
        may_grow: Whether machines may join on demand; then nothing is rejected. None for
            :func:`cluster_may_grow`.

    Raises:
        ResourceError: If the cluster lacks a resource. Lists what each part requests and what the
            cluster has, and says what to set.
    """
    if cluster_may_grow() if may_grow is None else may_grow:
        return
    parts = requested_parts(config, in_tune=in_tune)
    for resource in sorted({name for part in parts for name in part.each}):
        have = float(cluster.get(resource, 0))
        asked = sum(part.total(resource) for part in parts)
        if asked > have + 1 / _UNITS:
            raise ResourceError(_refusal(parts, resource, asked, have))


def describe_request(config: Any, cluster: Mapping[str, float], machines: int) -> str:
    """Describe a trial's resource request and the cluster's resources in one sentence.

    Args:
        config: An ``AlgorithmConfig``.
        cluster: As for :func:`check_resources`.
        machines: Number of machines of the cluster.
    """
    parts, asked = requested_parts(config, in_tune=True), []
    for resource in sorted({name for part in parts for name in part.each}):
        amount = sum(part.total(resource) for part in parts)
        if not amount:
            continue
        shares = []
        for part in parts:
            if part.total(resource):
                each = f"{part.each[resource]:g}"
                many = part.count > 1
                shares.append(
                    f"{part.count} {part.name}s {each} each" if many else f"{part.name} {each}"
                )
        asked.append(
            f"{_amount(amount, resource)} ({', '.join(shares)}) of {cluster.get(resource, 0):g}"
        )
    on = "1 machine" if machines == 1 else f"{machines} machines"
    return f"Requests {', '.join(asked)} on {on}."


def cluster_may_grow() -> bool:
    """Whether Ray starts more machines on demand.

    The environment variable ``RLLIB_DREAMERV3_AUTOSCALING`` decides if it is set (to ``1``, e.g. on
    Kubernetes, which cannot be detected). Otherwise true if the configuration of Ray's cluster
    launcher exists.
    """
    setting = os.environ.get(AUTOSCALING_VARIABLE)
    if setting is not None:
        return setting == "1"
    return (Path.home() / "ray_bootstrap_config.yaml").exists()


def cpus_for_main_process(config: Any, machine_cpus: float) -> int:
    """Return the CPUs of a machine that a run's other processes leave to its main process.

    Args:
        config: An ``AlgorithmConfig``.
        machine_cpus: CPUs that Ray may use on the machine where the run starts.

    Returns:
        An integer, at least 1.
    """
    others = sum(part.total("CPU") for part in requested_parts(config, in_tune=False))
    return max(1, math.floor(machine_cpus - others + 1 / _UNITS))


def threads_for_this_process() -> int | None:
    """Return the number of threads that this process should compute with.

    Returns:
        In a Ray worker process the CPUs assigned to it, rounded up, at least 1, and at most those
        that the system lets it run on: with ``taskset``, or in a batch job that is bound to cores,
        more threads than cores wait for each other. None elsewhere: all cores may be used.
    """
    if not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:
        return None
    assigned = math.ceil(context.get_assigned_resources().get("CPU", 0) - 1 / _UNITS)
    return max(1, min(assigned, usable_cores()))


def _refusal(parts: list[Part], resource: str, asked: float, have: float) -> str:
    lines = [f"This run requests {_amount(asked, resource)}, but the cluster has {have:g}:"]
    for part in parts:
        if part.total(resource):
            what = part.name
            if part.count > 1:
                what = f"{part.count} {part.name}s, {part.each[resource]:g} each"
            lines.append(f"  {what}: {_amount(part.total(resource), resource)}")
    remedies = _remedies(parts, resource, have)
    if remedies:
        lines.append(f"To make it fit, set {', or '.join(remedies)}.")
    else:
        lines.append("Lower several of these, or use a larger machine or cluster.")
    if resource == "GPU":
        lines.append("(If Ray has not found a GPU: ray.init(num_gpus=1), or --ray-num-gpus 1.)")
    lines.append(f"(If this cluster scales up on demand, set {AUTOSCALING_VARIABLE}=1.)")
    return "\n".join(lines)


def _amount(number: float, resource: str) -> str:
    if resource not in ("CPU", "GPU"):
        return f"{number:g} of resource {resource!r}"
    return f"{number:g} {resource}" + ("" if number == 1 else "s")


def _remedies(parts: list[Part], resource: str, have: float) -> list[str]:
    """Return settings that each make the run fit; if none does, one that combines several."""
    alone = []
    for part in parts:
        room = have - sum(other.total(resource) for other in parts if other is not part)
        alone += _shrunk(part, resource, room)
    if alone:
        return alone

    # Reducing one part is not enough: reduce several, the least important first.
    settings, excess = [], sum(part.total(resource) for part in parts) - have
    for part in sorted(parts, key=_importance):
        each = float(part.each.get(resource, 0) or 0)
        if excess <= 1 / _UNITS or not each:
            continue
        drop = min(part.count - part.fewest, math.ceil(excess / each - 1 / _UNITS))
        if drop and part.count_option:
            settings.append(f"{part.count_option}: {part.count - drop}")
            excess -= drop * each
        elif part.each_options.get(resource):
            share = max(part.least[resource], _rounded_down(each - excess / part.count))
            settings += [f"{option}: {share:g}" for option in part.each_options[resource]]
            excess -= part.count * (each - share)
    return [" and ".join(settings)] if excess <= 1 / _UNITS else []


def _importance(part: Part) -> int:
    """Return the rank of a part: those with a low rank are reduced first."""
    order = ["evaluation env runner", "aggregator", "env runner", "learner", "main process"]
    return order.index(part.name)


def _shrunk(part: Part, resource: str, room: float) -> list[str]:
    """Return the settings that make ``part`` fit into ``room``."""
    each = float(part.each.get(resource, 0) or 0)
    if not each or room < -1 / _UNITS:
        return []
    settings = []
    count = math.floor(room / each + 1 / _UNITS)
    if part.count_option and count >= part.fewest:
        settings.append(f"{part.count_option}: {count}")
    options, share = part.each_options.get(resource, ()), _rounded_down(room / part.count)
    if options and share >= part.least[resource]:
        settings.append(" and ".join(f"{option}: {share:g}" for option in options))
    return settings


def _rounded_down(share: float) -> float:
    """Round down to integers, or to hundredths below one."""
    share = max(0.0, share) + 1 / _UNITS
    return math.floor(share) if share >= 1 else math.floor(100 * share) / 100


@functools.cache
def this_machine() -> str:
    """Return the network address of this machine."""
    return ray.util.get_node_ip_address()


def placement(learners: Iterable[str], env_runners: Iterable[str]) -> dict[str, str]:
    """List the processes of a run by machine.

    Args:
        learners: Machine of each remote learner.
        env_runners: Machine of each remote env runner.

    Returns:
        For example ``{"10.0.0.1": "main process, 1 learner", "10.0.0.2": "4 env runners"}``; empty
        if Ray has only one machine.
    """
    if sum(node["Alive"] for node in ray.nodes()) < 2:
        return {}
    found: dict[str, list[str]] = {this_machine(): ["main process"]}
    for name, addresses in (("learner", learners), ("env runner", env_runners)):
        for machine, count in sorted(Counter(addresses).items()):
            found.setdefault(machine, []).append(f"{count} {name}{'s' if count > 1 else ''}")
    return {machine: ", ".join(names) for machine, names in found.items()}
