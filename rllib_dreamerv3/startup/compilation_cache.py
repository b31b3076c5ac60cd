"""What XLA has compiled is kept on disk, so that the next process need not compile it again.

About half of what the first update of a process costs. TensorFlow reads where to keep it before its
first operation, and does not tell executables apart that were made for different numbers of threads
or other processors; their folders do.
"""

import hashlib
import os
import platform
from collections.abc import MutableMapping
from importlib import metadata
from pathlib import Path

FLAGS_VARIABLE = "TF_XLA_FLAGS"
DIRECTORY_FLAG = "--tf_xla_persistent_cache_directory"


def use_compilation_cache(
    threads: int, environment: MutableMapping[str, str] = os.environ
) -> Path | None:
    """Tells TensorFlow, before its first operation, where to keep what is compiled.

    Args:
        threads: Of TensorFlow in this process; not to be changed afterwards.
        environment: Environment variables. A directory that users have set in ``TF_XLA_FLAGS``, an
            empty one for none, is left as it is.

    Returns:
        The folder, below ``$XDG_CACHE_HOME`` (``~/.cache``); None if there is none, because users
        want another or none, or because it cannot be written.
    """
    flags = environment.get(FLAGS_VARIABLE, "")
    if DIRECTORY_FLAG in flags:
        return None
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "rllib_dreamerv3" / f"{_machine()}-{threads}-threads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    environment[FLAGS_VARIABLE] = f"{flags} {DIRECTORY_FLAG}={folder}".strip()
    return folder


def _machine() -> str:
    """TensorFlow's version, and a hash of what this processor is and can do."""
    try:
        version = metadata.version("tensorflow")
    except metadata.PackageNotFoundError:
        version = "unknown"  # another distribution of it, tensorflow-cpu for example
    processor = {platform.machine(), platform.processor()}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor |= {x for x in lines if x.startswith(("model name", "flags", "Features"))}
    except OSError:
        pass  # not Linux
    digest = hashlib.sha256("\n".join(sorted(processor)).encode()).hexdigest()
    return f"tensorflow-{version}-{digest[:12]}"
