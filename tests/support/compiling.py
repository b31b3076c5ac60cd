"""Compiling what else runs as plain Python in tests.

Tests of compiled functions have the mark ``compiled``. This is for fixtures that tests with and
without the mark share, and for Ray's processes, which are started before a test is known.
"""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def compiling():
    """Lets functions be compiled in a block."""
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(eager)


def compile_from_now_on(*_):
    """For ``foreach_env_runner`` and ``foreach_learner``: their processes compile."""
    tf.config.run_functions_eagerly(False)
