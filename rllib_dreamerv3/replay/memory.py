"""Computes the size of a full replay buffer, and compares it with the memory or disk."""

import shutil
from pathlib import Path
from typing import NamedTuple

from rllib_dreamerv3.errors import ConfigError

# Above this share of the machine's memory, networks and environments may not fit.
TIGHT_SHARE = 0.7
# Share of the machine's memory that replay takes at most by default.
DEFAULT_SHARE = 0.5


class ReplayNeed(NamedTuple):
    """Size of a full replay buffer in memory, or on disk.

    Attributes:
        capacity: Limit on records.
        record_bytes: Bytes of one record.
        capacity_bytes: Limit on the bytes of all records; None for no limit.
        share_bytes: Bytes of one record in this storage: less than ``record_bytes`` if some columns
            are in memory and others on disk.
    """

    capacity: int
    record_bytes: int
    capacity_bytes: int | None
    share_bytes: int

    @property
    def records(self) -> int:
        """Limit on records, whichever limit is reached first."""
        if self.capacity_bytes is None:
            return self.capacity
        return min(self.capacity, self.capacity_bytes // self.record_bytes)

    @property
    def bytes(self) -> int:
        """Bytes of all records in this storage."""
        return self.records * self.share_bytes

    @property
    def checkpoint_bytes(self) -> int:
        """Bytes of all records in a checkpoint."""
        return self.records * self.record_bytes

    def describe(self, available_bytes: int, disk: Path | None = None) -> str:
        """Return "Replay needs up to 61.4 GB (5,000,000 records of 12.3 KB); ..."."""
        where = f"{disk} has room for" if disk else "this machine has"
        return (
            f"Replay needs up to {gigabytes(self.bytes)} ({self.records:,} records of "
            f"{self.share_bytes / 1e3:,.4g} KB); {where} {gigabytes(available_bytes)}."
        )


def gigabytes(number: int) -> str:
    """Format bytes as "61.4 GB", "39,300 GB"."""
    digits = 0 if number >= 100e9 else 1 if number >= 10e9 else 2
    return f"{number / 1e9:,.{digits}f} GB"


def check_space(need: ReplayNeed, available_bytes: int, disk: Path | None = None) -> bool:
    """Compare the size of a full replay buffer with the available space.

    Args:
        need: Size of the full buffer.
        available_bytes: Memory that this process may use, or free bytes of the disk.
        disk: A directory on the disk; None for memory.

    Returns:
        Whether the buffer takes most of the space, so that a warning is due.

    Raises:
        ConfigError: If it does not fit.
    """
    if need.bytes > available_bytes:
        fits = int(TIGHT_SHARE * available_bytes) // need.share_bytes
        # Where columns are divided between memory and disk, this is set already.
        divided = need.share_bytes < need.record_bytes
        elsewhere = "" if disk or divided else ', or "storage": "disk"'
        raise ConfigError(
            f"{need.describe(available_bytes, disk)} The run would fail hours from now. Set "
            f'replay_buffer_config={{"capacity_bytes": {fits * need.record_bytes:_}}}, or a '
            f'"capacity" of at most {fits:_} records{elsewhere}.'
        )
    return need.bytes > TIGHT_SHARE * available_bytes


def free_bytes(directory: Path) -> int:
    """Return the free bytes on the disk of a directory, which need not exist yet."""
    existing = next(path for path in (directory, *directory.parents) if path.is_dir())
    return shutil.disk_usage(existing).free
