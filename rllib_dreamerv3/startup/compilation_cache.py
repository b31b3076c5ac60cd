"""XLA's compilation cache on disk, shared by all processes of a user.

It halves the time of a process's first update. TensorFlow reads the cache's directory before its
first operation. It would also load programs compiled for another number of threads, another
processor, or another kind of device, so each of these has its own directory.
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
    """Set the directory of XLA's cache; must be called before TensorFlow's first operation.

    Args:
        threads: Number of TensorFlow's threads in this process, which must not change afterwards.
        environment: Environment variables. A directory that the user has set in ``TF_XLA_FLAGS``
            (or an empty one, to disable the cache) is kept.

    Returns:
        The directory, below ``$XDG_CACHE_HOME`` (``~/.cache``); None if the user has set one, or
        if it is not writable.
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
    """Return TensorFlow's version with a hash of the processor's name and instruction sets."""
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
