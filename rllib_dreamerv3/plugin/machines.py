"""Which machine of a cluster each process of a run is on."""

import functools
from collections import Counter
from collections.abc import Iterable

import ray


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
