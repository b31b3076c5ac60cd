"""A cache on disk of what XLA compiles, shared by all processes of a user.

It halves the time of a process's first update. TensorFlow reads the cache's directory before its
first operation. It would also load programs compiled for another number of threads, another
processor, or a machine with another kind of device, so each of these has a directory of its own.
"""

import hashlib
import os
import platform
from collections.abc import MutableMapping
from importlib import metadata
from pathlib import Path

from rllib_dreamerv3.startup.devices import has_nvidia_driver

FLAGS_VARIABLE = "TF_XLA_FLAGS"
DIRECTORY_FLAG = "--tf_xla_persistent_cache_directory"


def use_compilation_cache(
    threads: int, environment: MutableMapping[str, str] = os.environ
) -> Path | None:
    """Sets the directory of XLA's cache; to be called before TensorFlow's first operation.

    Args:
        threads: Number of TensorFlow's threads in this process, which must not change afterwards.
        environment: Environment variables. If the user has set a directory in ``TF_XLA_FLAGS``
            (or an empty one, to turn the cache off), it stays.

    Returns:
        The directory, below ``$XDG_CACHE_HOME`` (``~/.cache``); None if the user has set one, or
        if it cannot be written.
    """
    flags = environment.get(FLAGS_VARIABLE, "")
    if DIRECTORY_FLAG in flags:
        return None
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    device = "gpu" if has_nvidia_driver() else "cpu"
    folder = Path(base) / "rllib_dreamerv3" / f"{_machine()}-{device}-{threads}-threads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    environment[FLAGS_VARIABLE] = f"{flags} {DIRECTORY_FLAG}={folder}".strip()
    return folder


def _machine() -> str:
    """TensorFlow's version, and a hash of this processor's name and instruction sets."""
    try:
        version = metadata.version("tensorflow")
    except metadata.PackageNotFoundError:
        version = "unknown"  # of another distribution, e.g. tensorflow-cpu
    processor = {platform.machine(), platform.processor()}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor |= {x for x in lines if x.startswith(("model name", "flags", "Features"))}
    except OSError:
        pass  # not Linux
    digest = hashlib.sha256("\n".join(sorted(processor)).encode()).hexdigest()
    return f"tensorflow-{version}-{digest[:12]}"
