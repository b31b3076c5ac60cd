"""Imports TensorFlow before RLlib does, in TensorFlow 2 mode, with this process's share of CPUs.

RLlib switches TensorFlow to version-1 behaviour if RLlib is imported first. Importing this module
on the first line of the package prevents that, or undoes it.
"""

import os

from rllib_dreamerv3.compilation_cache import use_compilation_cache
from rllib_dreamerv3.resources import threads_for_this_process

# None in the user's own process, where all cores are used and the user may yet change that.
THREADS = threads_for_this_process()
if THREADS is not None:
    use_compilation_cache(THREADS)

# Must be set before TensorFlow is imported; users who set them themselves keep their choice.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402  what is set above must be set before


def _return_to_version_2() -> None:
    if tf.executing_eagerly() and tf.compat.v1.control_flow_v2_enabled():
        return
    if tf.compat.v1.get_default_graph().get_operations():
        raise RuntimeError(
            "RLlib was imported before rllib_dreamerv3 and has put TensorFlow into version-1 mode, "
            "and TensorFlow operations were created since. Import rllib_dreamerv3 before ray.rllib."
        )
    tf.compat.v1.reset_default_graph()
    tf.compat.v1.enable_v2_behavior()


def _limit_threads() -> None:
    if THREADS is None:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    except RuntimeError:
        # TensorFlow already runs in this process; whoever started it chose the threads.
        pass


_return_to_version_2()
_limit_threads()
