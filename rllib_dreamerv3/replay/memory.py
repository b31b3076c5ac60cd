"""What replay is going to need, and what the machine has: said at the start, not by its end."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rllib_dreamerv3.errors import ConfigError

# Above this share of the machine's memory, networks and environments may no longer find room.
TIGHT_SHARE = 0.7


class ReplayNeed(NamedTuple):
    """What replay holds in one place, memory or a disk, when it is full.

    Attributes:
        capacity: Most records.
        record_bytes: Bytes of one record.
        capacity_bytes: The limit on the bytes of all records; None for none.
        share_bytes: Bytes of one record in this place: all of them, unless some of its columns are
            in memory and others on disk.
    """

    capacity: int
    record_bytes: int
    capacity_bytes: int | None
    share_bytes: int

    @property
    def records(self) -> int:
        """Most records, whichever limit is reached first."""
        if self.capacity_bytes is None:
            return self.capacity
        return min(self.capacity, self.capacity_bytes // self.record_bytes)

    @property
    def bytes(self) -> int:
        """Bytes of all records in this place."""
        return self.records * self.share_bytes

    @property
    def checkpoint_bytes(self) -> int:
        """Bytes that a checkpoint takes for all records, wherever they are here."""
        return self.records * self.record_bytes

    def in_words(self, room_bytes: int, disk: Path | None = None) -> str:
        """``"Replay needs up to 61.4 GB (5,000,000 records of 12.3 KB); this machine has ..."``."""
        where = f"{disk} has room for" if disk else "this machine has"
        return (
            f"Replay needs up to {gigabytes(self.bytes)} ({self.records:,} records of "
            f"{self.share_bytes / 1e3:,.4g} KB); {where} {gigabytes(room_bytes)}."
        )


def gigabytes(number: int) -> str:
    """``"61.4 GB"``, ``"39,300 GB"``."""
    digits = 0 if number >= 100e9 else 1 if number >= 10e9 else 2
    return f"{number / 1e9:,.{digits}f} GB"


def check_room(need: ReplayNeed, room_bytes: int, disk: Path | None = None) -> bool:
    """Compares what replay needs with what there is.

    Args:
        need: What replay holds when it is full.
        room_bytes: Memory of the machine, or what this process may use of it; of a disk what is
            free.
        disk: The directory on that disk; None for memory.

    Returns:
        Whether it is tight, so that one should know.

    Raises:
        ConfigError: If it cannot fit.
    """
    if need.bytes > room_bytes:
        fits = int(TIGHT_SHARE * room_bytes) // need.share_bytes
        # Where columns are divided between memory and disk, this is set already.
        divided = need.share_bytes < need.record_bytes
        elsewhere = "" if disk or divided else ', or "storage": "disk"'
        raise ConfigError(
            f"{need.in_words(room_bytes, disk)} It would end hours from now for want of room. Set "
            f'replay_buffer_config={{"capacity_bytes": {fits * need.record_bytes:_}}}, or a '
            f'"capacity" of at most {fits:_} records{elsewhere}.'
        )
    return need.bytes > TIGHT_SHARE * room_bytes


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's if less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="ascii")
    except OSError:
        # Not Linux.
        return total
    return min([total, *control_group_limits(groups, Path("/sys/fs/cgroup"))])


def control_group_limits(groups: str, root: Path) -> Iterator[int]:
    """Limits on memory of the control groups that a process is in, and of those around them.

    A container sees its own group as the root, or the path that it has outside, which is not
    there; a batch system like Slurm puts a job some groups deep.

    Args:
        groups: What ``/proc/<process>/cgroup`` says.
        root: Where the control groups are mounted.

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
                # There is no such group here, or no limit on it.
                continue


def free_bytes(directory: Path) -> int:
    """Bytes that are free on the disk of a directory, which need not exist yet."""
    existing = next(path for path in (directory, *directory.parents) if path.is_dir())
    return shutil.disk_usage(existing).free
