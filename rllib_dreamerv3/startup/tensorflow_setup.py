"""Prepares TensorFlow before its first operation: version 2, threads, cache of compiled functions.

RLlib switches TensorFlow to version-1 behaviour if RLlib is imported first; this switches it back.

With ``RLLIB_DREAMERV3_EAGER=1`` in the environment updates run line by line as plain Python, in
this process and in Ray's: debuggers stop in them, and short tests save the time of compiling.
Training is many times slower. The policy's step, which is called at every env step, stays compiled.
"""

import os

from rllib_dreamerv3.startup.compilation_cache import use_compilation_cache
from rllib_dreamerv3.startup.fast_imports import hidden, without_garbage_collection
from rllib_dreamerv3.startup.quiet import without_native_logs

EAGER_VARIABLE = "RLLIB_DREAMERV3_EAGER"

# TensorFlow imports Keras, which imports these for its plots if they are installed: a tenth of the
# time until a process is ready.
_OF_PLOTS = ("IPython", "matplotlib")


def prepare_tensorflow(threads: int | None = None) -> None:
    """Import TensorFlow in version-2 mode.

    Args:
        threads: Number of threads of a process with a share of the machine, such as an actor. None
            leaves threads and cache unchanged: a user's process computes on all cores, and may
            change that later.

    Raises:
        RuntimeError: If RLlib was imported first and version-1 operations exist already.
    """
    # TensorFlow reads environment variables at import; the user's settings are kept.
    if threads is not None:
        use_compilation_cache(threads)
    # Harmless errors of reading XLA's cache would flood the log. Ray's processes inherit the level.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Only in processes that no user works in.
    plots = _OF_PLOTS if threads is not None else ()
    with without_native_logs(), without_garbage_collection(), hidden(*plots):
        import tensorflow as tf

    if not (tf.executing_eagerly() and tf.compat.v1.control_flow_v2_enabled()):
        if tf.compat.v1.get_default_graph().get_operations():
            raise RuntimeError(
                "RLlib was imported before rllib_dreamerv3 and has put TensorFlow into version-1 "
                "mode, and TensorFlow operations have been created since. Import rllib_dreamerv3 "
                "before ray.rllib."
            )
        tf.compat.v1.reset_default_graph()
        tf.compat.v1.enable_v2_behavior()
    if os.environ.get(EAGER_VARIABLE) == "1":
        tf.config.run_functions_eagerly(True)
    if threads is not None:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            # TensorFlow is already initialized in this process: keep its threads.
            pass
