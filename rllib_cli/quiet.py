"""Keeps the start-up chatter of TensorFlow and Ray away unless it is asked for."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def log_level(verbosity: int) -> int:
    """The least level of log messages that are shown: errors, then messages, then everything."""
    return {0: logging.ERROR, 1: logging.INFO}.get(verbosity, logging.DEBUG)


@contextmanager
def loading_libraries(verbosity: int) -> Iterator[None]:
    """To be put around the first import of TensorFlow and Ray.

    Args:
        verbosity: 0: nothing but errors is shown, now and later. 1: warnings and messages too.
            2: everything.

    Yields:
        Nothing.
    """
    # Tune's own tables and reports repeat what this command shows.
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    if verbosity == 0:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # A failed trial is told of at the end, without its traceback.
        os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
        warnings.simplefilter("ignore")
    elif verbosity == 1:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    else:
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    with _standard_error_held_back(verbosity == 0):
        yield
    # Ray sets the level of its loggers when it is imported.
    for name in ("ray", "ray.rllib", "tensorflow", "absl", "gymnasium"):
        logging.getLogger(name).setLevel(log_level(verbosity))
    if verbosity == 0:
        logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)


@contextmanager
def _standard_error_held_back(wanted: bool) -> Iterator[None]:
    """Drops what is written to standard error inside the block, unless the block fails.

    TensorFlow's first messages come from C++ before any log level holds.
    """
    if not wanted:
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
