"""What replay is going to need, and what the machine has: said at the start, not by its end."""

import shutil
from pathlib import Path
from typing import NamedTuple

from rllib_dreamerv3.errors import ConfigError

# Above this share of the machine's memory, networks and environments may no longer find room.
TIGHT_SHARE = 0.7

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class ReplayNeed(NamedTuple):
    """What replay holds when it is full.

    Attributes:
        records: Its capacity.
        record_bytes: Bytes of one record.
        capacity_bytes: The limit on bytes; None for none.
    """

    records: int
    record_bytes: int
    capacity_bytes: int | None

    @property
    def bytes(self) -> int:
        """Bytes of all records together."""
        full = self.records * self.record_bytes
        return full if self.capacity_bytes is None else min(full, self.capacity_bytes)

    def in_words(self, room_bytes: int, disk: Path | None = None) -> str:
        """``"Replay needs up to 61.4 GB (5,000,000 records of 12.3 KB); this machine has ..."``."""
        where = f"{disk} has room for" if disk else "this machine has"
        records = min(self.records, self.bytes // self.record_bytes)
        return (
            f"Replay needs up to {self.bytes / 1e9:.3g} GB ({records:,} records of "
            f"{self.record_bytes / 1e3:.3g} KB); {where} {room_bytes / 1e9:.3g} GB."
        )


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
        fits = int(TIGHT_SHARE * room_bytes)
        elsewhere = "" if disk else ', or "storage": "disk"'
        raise ConfigError(
            f"{need.in_words(room_bytes, disk)} It would end hours from now for want of room. Set "
            f'replay_buffer_config={{"capacity_bytes": {fits:_}}}, or a "capacity" of at most '
            f"{fits // need.record_bytes:_} records{elsewhere}."
        )
    return need.bytes > TIGHT_SHARE * room_bytes


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or the container's if less."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemTotal:"):
            total = int(line.split()[1]) * 1024
    for path in _CGROUP_LIMITS:
        try:
            total = min(total, int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):
            # There is no such file, or no limit in it.
            continue
    return total


def free_bytes(directory: Path) -> int:
    """Bytes that are free on the disk of a directory, which need not exist yet."""
    existing = next(path for path in (directory, *directory.parents) if path.is_dir())
    return shutil.disk_usage(existing).free
