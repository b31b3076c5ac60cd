"""What differs between operating systems: memory, cores and mounts, and whether one is supported.

Linux is tested. macOS lacks ``/proc``, control groups and CPU affinity, and counts memory
differently. Windows lacks file locks and signals that checkpoints and Tune need.
"""

import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path


def refuse_windows() -> None:
    """Raise ImportError on Windows, where parts of the package cannot work."""
    if sys.platform == "win32":
        raise ImportError(
            "rllib_dreamerv3 needs Linux or macOS. On Windows, use it in WSL 2; exported policies "
            "in the formats ONNX and LiteRT run on Windows without it."
        )


def usable_cores() -> int:
    """Return the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def peak_memory() -> int:
    """Return the largest number of bytes that this process has had in memory."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def mounts_in(directory: Path) -> list[Path]:
    """Return the mount points at or below a directory, in Linux; elsewhere at most the directory.

    Args:
        directory: An absolute path without links.
    """
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return [directory] if directory.is_mount() else []
    # The fifth field, in which spaces and others are octal numbers: "\\040".
    fields = (line.split(" ", 5)[4] for line in lines)
    paths = {
        Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), field)) for field in fields
    }
    return sorted(path for path in paths if path.is_relative_to(directory))


def machine_memory() -> int:
    """Return the memory this process may use: the machine's, or its control group's if less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="ascii")
    except OSError:
        # Not on Linux.
        return total
    return min([total, *control_group_limits(groups, Path("/sys/fs/cgroup"))])


def control_group_limits(groups: str, root: Path) -> Iterator[int]:
    """Yield the memory limits of a process's control groups and their parents.

    In a container the group's path is the root, or the path outside the container, which does not
    exist inside; batch systems such as Slurm nest a job several groups deep.

    Args:
        groups: Content of ``/proc/<process>/cgroup``.
        root: Mount point of the control groups.

    Yields:
        Bytes, for each group that has a limit.
    """
    for line in groups.splitlines():
        _, controllers, inside = line.split(":", 2)
        if not controllers:
            top, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(inside.lstrip("/"))
        for part in (group, *group.parents):
            try:
                yield int((top / part / name).read_text(encoding="ascii"))
            except (OSError, ValueError):
                # The group does not exist here, or has no limit.
                continue
