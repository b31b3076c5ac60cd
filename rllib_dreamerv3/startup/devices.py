"""Which devices TensorFlow sees in a process, and how much of their memory it takes.

TensorFlow takes nearly all memory of every GPU that it sees, and Ray does not hide GPUs from
processes that were given none. So every process says what it needs before TensorFlow's first
operation: learners their share of a GPU, all others nothing.

No GPU was there when this was written: what it does without one is tested, what it does with one
is what TensorFlow's documents say.
"""

import logging
import os
import shutil
import subprocess
from typing import Literal

from rllib_dreamerv3.errors import ResourceError

Device = Literal["CPU", "GPU"]

logger = logging.getLogger(__name__)

_MEBIBYTE = 2**20


def has_nvidia_driver() -> bool:
    """Whether this machine can have a GPU that TensorFlow computes with; needs no TensorFlow."""
    driver = os.path.exists("/proc/driver/nvidia/version")
    return driver or shutil.which("nvidia-smi") is not None


def device_in_use() -> Device:
    """What TensorFlow computes with in this process: a GPU if it sees one."""
    import tensorflow as tf

    return "GPU" if tf.config.get_visible_devices("GPU") else "CPU"


def hide_gpus() -> None:
    """Lets TensorFlow see no GPU in this process, so that it takes no memory of any.

    Others in this process, such as a simulator that draws, still see them. Where TensorFlow has
    used a GPU already it is too late; that is said in a warning.
    """
    import tensorflow as tf

    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:
        if tf.config.list_logical_devices("GPU"):
            logger.warning(
                "TensorFlow has used a GPU in this process already, which cannot be hidden from "
                "it any more: it keeps that GPU's memory. Build the algorithm before other "
                "TensorFlow code runs, or set the environment variable CUDA_VISIBLE_DEVICES to -1 "
                "first."
            )


def use_devices_of_a_learner(gpus: float) -> None:
    """Prepares TensorFlow for a process that learns, before its first operation.

    Args:
        gpus: ``num_gpus_per_learner``.

    Raises:
        ResourceError: See :func:`take_gpus`.
    """
    if gpus:
        take_gpus(gpus)
    else:
        hide_gpus()


def take_gpus(share: float) -> None:
    """Prepares the GPUs that this process was given, before TensorFlow uses them.

    Args:
        share: ``num_gpus_per_learner``. Memory of whole GPUs is taken as it is needed; of a part
            of one, no more than that part.

    Raises:
        ResourceError: See :func:`check_gpus`.
    """
    import tensorflow as tf

    check_gpus(share)
    gpus = tf.config.list_physical_devices("GPU")
    limit = memory_limit_mib(_gpu_memory(), share)
    try:
        for gpu in gpus:
            if limit is None:
                tf.config.experimental.set_memory_growth(gpu, True)
            else:
                part = tf.config.LogicalDeviceConfiguration(memory_limit=limit)
                tf.config.set_logical_device_configuration(gpu, [part])
    except RuntimeError:
        logger.warning(
            "TensorFlow has used a GPU in this process already: how much of its memory it takes "
            "cannot be changed any more."
        )


def check_gpus(share: float) -> None:
    """Refuses to learn on a GPU where TensorFlow sees none; takes nothing of any.

    Args:
        share: ``num_gpus_per_learner``.

    Raises:
        ResourceError: If it is not 0 and there is none; says what is missing.
    """
    import tensorflow as tf

    if share and not tf.config.list_physical_devices("GPU"):
        raise ResourceError(
            f"num_gpus_per_learner is {share:g}, but TensorFlow sees no GPU in the learner's "
            f"process: {why_no_gpu()} To learn on the CPU, set num_gpus_per_learner: 0."
        )


def memory_limit_mib(total: int | None, share: float) -> int | None:
    """How much memory of a GPU a learner may take.

    Args:
        total: Bytes that the GPU has; None if not known.
        share: GPUs of the learner.

    Returns:
        MiB; None for as much as it needs, of whole GPUs and where the memory is not known.
    """
    if share >= 1 or total is None:
        return None
    return int(total * share) // _MEBIBYTE


def why_no_gpu() -> str:
    """A sentence that says why TensorFlow sees no GPU, and what to do."""
    import tensorflow as tf

    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return (
            "the environment variable CUDA_VISIBLE_DEVICES hides all of them. Unset it, or start "
            "Ray on a machine that has a GPU."
        )
    if not has_nvidia_driver():
        return (
            "this machine has no NVIDIA driver. Start Ray on one that has a GPU and its driver "
            "(the command nvidia-smi shows both); then install CUDA's libraries by "
            "pip install 'rllib-dreamerv3[gpu]'."
        )
    if not tf.test.is_built_with_cuda():
        return (
            "this TensorFlow was built without CUDA (tensorflow-cpu, perhaps). Install the other: "
            "pip uninstall tensorflow-cpu; pip install 'rllib-dreamerv3[gpu]'."
        )
    return (
        "CUDA's libraries are missing or too old for it, or the driver is. Install them by "
        "pip install 'rllib-dreamerv3[gpu]', and compare the driver's version (nvidia-smi) with "
        "https://www.tensorflow.org/install/pip."
    )


def _gpu_memory() -> int | None:
    """Bytes of the smallest GPU of this process, by NVIDIA's own program."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        command.append(f"--id={visible}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
        return min(int(line) for line in done.stdout.split()) * _MEBIBYTE
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
