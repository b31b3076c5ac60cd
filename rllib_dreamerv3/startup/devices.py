"""Configures the devices that TensorFlow sees in a process, and how much memory it allocates.

TensorFlow allocates nearly all memory of every visible GPU, and Ray does not hide GPUs from
processes without any. So every process configures TensorFlow before its first operation: learners
get their share of a GPU, all others none.

Written without a GPU: the behaviour without one is tested, that with one follows TensorFlow's
documentation.
"""

import logging
import os
import shutil
import subprocess
from typing import Literal

from rllib_dreamerv3.errors import ResourceError
from rllib_dreamerv3.startup.quiet import without_native_logs

Device = Literal["CPU", "GPU"]

logger = logging.getLogger(__name__)

_MEBIBYTE = 2**20


def has_nvidia_driver() -> bool:
    """Whether this machine may have a GPU that TensorFlow supports; does not import TensorFlow."""
    driver = os.path.exists("/proc/driver/nvidia/version")
    return driver or shutil.which("nvidia-smi") is not None


def device_in_use() -> Device:
    """Return the device of TensorFlow in this process: GPU if one is visible."""
    import tensorflow as tf

    return "GPU" if tf.config.get_visible_devices("GPU") else "CPU"


def hide_gpus() -> None:
    """Hide all GPUs from TensorFlow in this process, so that it allocates no memory on them.

    Other libraries, such as simulators that render, still see them. Log a warning if TensorFlow
    has already used a GPU.
    """
    import tensorflow as tf

    try:
        with without_native_logs():
            tf.config.set_visible_devices([], "GPU")
    except RuntimeError:
        if tf.config.list_logical_devices("GPU"):
            logger.warning(
                "TensorFlow has already used a GPU in this process, which can no longer be hidden "
                "from it: it keeps that GPU's memory. Build the algorithm before other TensorFlow "
                "code runs, or set the environment variable CUDA_VISIBLE_DEVICES to -1 first."
            )


def use_devices_of_a_learner(gpus: float) -> None:
    """Configure TensorFlow's devices in a learner's process, before its first operation.

    Args:
        gpus: ``num_gpus_per_learner``.

    Raises:
        ResourceError: As :func:`take_gpus`.
    """
    if gpus:
        take_gpus(gpus)
    else:
        hide_gpus()


def take_gpus(share: float) -> None:
    """Configure the GPUs of this process, before TensorFlow uses them.

    Args:
        share: ``num_gpus_per_learner``. Memory of whole GPUs is allocated as needed; of a fraction
            of one, no more than that fraction.

    Raises:
        ResourceError: As :func:`check_gpus`.
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
            "TensorFlow has already used a GPU in this process: the amount of memory it allocates "
            "can no longer be changed."
        )


def check_gpus(share: float) -> None:
    """Check that TensorFlow sees a GPU if one is requested, without allocating memory.

    Args:
        share: ``num_gpus_per_learner``.

    Raises:
        ResourceError: If ``share`` is not 0 and there is no GPU; says what is missing.
    """
    import tensorflow as tf

    if share and not tf.config.list_physical_devices("GPU"):
        raise ResourceError(
            f"num_gpus_per_learner is {share:g}, but TensorFlow sees no GPU in the learner's "
            f"process: {why_no_gpu()} To learn on the CPU, set num_gpus_per_learner: 0."
        )


def memory_limit_mib(total: int | None, share: float) -> int | None:
    """Return a learner's limit on the memory of a GPU.

    Args:
        total: Bytes of the GPU's memory; None if unknown.
        share: GPUs of the learner.

    Returns:
        MiB; None for no limit, with whole GPUs or unknown memory.
    """
    if share >= 1 or total is None:
        return None
    return int(total * share) // _MEBIBYTE


def why_no_gpu() -> str:
    """Return a sentence with the reason why TensorFlow sees no GPU, and what to do."""
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
            "this TensorFlow was built without CUDA (perhaps tensorflow-cpu). Replace it: "
            "pip uninstall tensorflow-cpu; pip install 'rllib-dreamerv3[gpu]'."
        )
    return (
        "CUDA's libraries or the driver are missing or too old. Install the libraries by "
        "pip install 'rllib-dreamerv3[gpu]', and compare the driver's version (nvidia-smi) with "
        "https://www.tensorflow.org/install/pip."
    )


def _gpu_memory() -> int | None:
    """Return the bytes of the smallest GPU of this process, from nvidia-smi; None if unknown."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        command.append(f"--id={visible}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
        return min(int(line) for line in done.stdout.split()) * _MEBIBYTE
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
