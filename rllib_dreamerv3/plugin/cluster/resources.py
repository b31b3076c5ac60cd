"""The CPUs and GPUs that a run requests from Ray, and which machine each of its processes is on.

A run for which the cluster is too small is refused: Ray itself would wait for ever.
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

AUTOSCALING_VARIABLE = "RLLIB_DREAMERV3_AUTOSCALING"
"""Environment variable: ``1`` says that the cluster grows on demand, ``0`` that it does not."""

_UNITS = 1e4  # Ray counts resources in ten-thousandths


@dataclass(frozen=True)
class Part:
    """One kind of process a run consists of.

    Attributes:
        name: What it is called in messages, in the singular.
        count: How many of them.
        each: What one of them asks for, by Ray's resource names (``CPU``, ``GPU``, custom ones).
        count_option: The option that sets ``count``; None if it is always one.
        each_options: The options behind each entry of ``each``, of which the largest counts;
            entries without any are custom.
        least: The smallest amounts in ``each`` with which such a process still works.
        fewest: The smallest ``count`` with which the run still works.
    """

    name: str
    count: int
    each: Mapping[str, float]
    count_option: str | None
    each_options: Mapping[str, tuple[str, ...]]
    least: Mapping[str, float] = field(default_factory=dict)
    fewest: int = 0

    def total(self, resource: str) -> float:
        """How much of ``resource`` all processes of this part ask for together."""
        return self.count * float(self.each.get(resource, 0) or 0)


def requested_parts(config: Any, *, in_tune: bool) -> list[Part]:
    """Lists what a run with this config asks Ray for.

    The sums are those of RLlib's ``Algorithm.default_resource_request``.

    Args:
        config: An ``AlgorithmConfig``.
        in_tune: Whether the algorithm itself is an actor, as under Ray Tune. If it is built in
            the user's own process, that process takes nothing from Ray.

    Returns:
        The parts that ask for at least one process.
    """
    local_learner = config.num_learners == 0
    learner_cpus = config.num_cpus_per_learner
    if learner_cpus == "auto":
        learner_cpus = 0 if config.num_gpus_per_learner else 1
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
    """Refuses a run for which the cluster is too small.

    Ray itself would wait for the missing processors without end.

    Args:
        config: An ``AlgorithmConfig``.
        cluster: All that the cluster has, as ``ray.cluster_resources()`` gives it.
        in_tune: As for :func:`requested_parts`.
        may_grow: Whether more machines may join on demand; then nothing is refused. None: as
            :func:`cluster_may_grow` finds.

    Raises:
        ResourceError: If the cluster lacks something. Says what was asked for, by part, what
            there is, and what to set.
    """
    if cluster_may_grow() if may_grow is None else may_grow:
        return
    parts = requested_parts(config, in_tune=in_tune)
    for resource in sorted({name for part in parts for name in part.each}):
        have = float(cluster.get(resource, 0))
        asked = sum(part.total(resource) for part in parts)
        if asked > have + 1 / _UNITS:
            raise ResourceError(_refusal(parts, resource, asked, have))


def what_is_asked(config: Any, cluster: Mapping[str, float], machines: int) -> str:
    """A sentence that says what a trial asks of a cluster, and what that has.

    Args:
        config: An ``AlgorithmConfig``.
        cluster: As for :func:`check_resources`.
        machines: How many machines it has.
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
    return f"Asks Ray for {', '.join(asked)} on {on}."


def cluster_may_grow() -> bool:
    """Whether Ray starts more machines on demand.

    True where Ray's cluster launcher has put its configuration, and wherever the environment
    variable ``RLLIB_DREAMERV3_AUTOSCALING`` is ``1`` (Kubernetes cannot be told from here); ``0``
    overrules the former.
    """
    told = os.environ.get(AUTOSCALING_VARIABLE)
    if told is not None:
        return told == "1"
    return (Path.home() / "ray_bootstrap_config.yaml").exists()


def cpus_for_main_process(config: Any, machine_cpus: float) -> int:
    """The CPUs of one machine that a run's other processes leave to its main process.

    Args:
        config: An ``AlgorithmConfig``.
        machine_cpus: CPUs that Ray may use on the machine where the run is started.

    Returns:
        A whole number, at least 1.
    """
    others = sum(part.total("CPU") for part in requested_parts(config, in_tune=False))
    return max(1, math.floor(machine_cpus - others + 1 / _UNITS))


def threads_for_this_process() -> int | None:
    """How many threads this process should compute with.

    Returns:
        In a Ray worker process the CPUs Ray has assigned to it, rounded up, at least 1. None
        anywhere else: then all cores are there to be used.
    """
    import ray

    if not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:
        return None
    return max(1, math.ceil(context.get_assigned_resources().get("CPU", 0) - 1 / _UNITS))


def _refusal(parts: list[Part], resource: str, asked: float, have: float) -> str:
    lines = [f"This run asks for {_amount(asked, resource)}, but the cluster has {have:g}:"]
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
        lines.append("Ask for less in several places, or use a larger machine or cluster.")
    if resource == "GPU":
        lines.append("(If Ray has not found a GPU: ray.init(num_gpus=1), or --ray-num-gpus 1.)")
    lines.append(f"(If this cluster grows on demand, set {AUTOSCALING_VARIABLE}=1.)")
    return "\n".join(lines)


def _amount(number: float, resource: str) -> str:
    if resource not in ("CPU", "GPU"):
        return f"{number:g} of resource {resource!r}"
    return f"{number:g} {resource}" + ("" if number == 1 else "s")


def _remedies(parts: list[Part], resource: str, have: float) -> list[str]:
    """Settings each of which makes the run fit; if none does alone, one that sets several."""
    alone = []
    for part in parts:
        room = have - sum(other.total(resource) for other in parts if other is not part)
        alone += _shrunk(part, resource, room)
    if alone:
        return alone

    # No part is large enough to make up for it alone: shrink several, the least important first.
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
    """Rank of a part among those of a run; without the last one there is none."""
    order = ["evaluation env runner", "aggregator", "env runner", "learner", "main process"]
    return order.index(part.name)


def _shrunk(part: Part, resource: str, room: float) -> list[str]:
    """The settings with which ``part`` alone fits into ``room``."""
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
    """Down to whole numbers, or to hundredths below one."""
    share = max(0.0, share) + 1 / _UNITS
    return math.floor(share) if share >= 1 else math.floor(100 * share) / 100


@functools.cache
def this_machine() -> str:
    """The network address of the machine that this process is on."""
    return ray.util.get_node_ip_address()


def machines(learners: Iterable[str], env_runners: Iterable[str]) -> dict[str, str]:
    """What runs where, by machine.

    Args:
        learners: The machine of each learner that has a process of its own.
        env_runners: That of each remote env runner.

    Returns:
        Such as ``{"10.0.0.1": "main process, 1 learner", "10.0.0.2": "4 env runners"}``; empty
        where Ray has one machine only.
    """
    if sum(node["Alive"] for node in ray.nodes()) < 2:
        return {}
    found: dict[str, list[str]] = {this_machine(): ["main process"]}
    for name, places in (("learner", learners), ("env runner", env_runners)):
        for place, count in sorted(Counter(places).items()):
            found.setdefault(place, []).append(f"{count} {name}{'s' if count > 1 else ''}")
    return {place: ", ".join(names) for place, names in found.items()}
