"""Imports TensorFlow and starts Ray without their start-up messages."""

import logging
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rllib_cli.errors import RunError, told_as
from rllib_cli.interrupts import without_hangup

_ANSWER_S = 3.0


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


def start_ray(
    arguments: Mapping[str, Any],
    *,
    pythonpath: bool,
    verbosity: int,
    say: Callable[[str], None],
) -> str:
    """Starts Ray, or connects to it.

    Args:
        arguments: Of ``ray.init``.
        pythonpath: Whether processes of a cluster that runs already need our ``PYTHONPATH``.
        verbosity: 0, 1 or 2.
        say: Prints a message.

    Returns:
        Where the output of its processes is.

    Raises:
        RunError: If the cluster cannot be reached.
    """
    import ray

    arguments = dict(arguments)
    if pythonpath and "address" in arguments:
        # Processes of a cluster that runs already do not inherit it.
        variables = {"PYTHONPATH": os.environ["PYTHONPATH"]}
        arguments["runtime_env"] = {"env_vars": variables}
    if arguments.get("address") in (None, "auto") and (lost := address_of_a_lost_cluster()):
        last = f"The last cluster of this machine, at {lost}, does not answer"
        if "address" in arguments:
            raise RunError(f"{last}: start one with `ray start --head`, or give its address.")
        say(f"{last}; starting Ray here.")
        arguments["address"] = "local"
    with told_as(RunError, verbosity), without_hangup():
        context = ray.init(
            **arguments,
            include_dashboard=False,
            log_to_driver=verbosity > 0,
            logging_level=log_level(verbosity),
        )
    return f"{context.address_info['session_dir']}/logs"


def address_of_a_lost_cluster() -> str | None:
    """The address of a cluster that Ray would try to join for minutes, though it has ended.

    Ray writes down the address of the last cluster that was started on a machine. Where that was
    killed, or the machine was switched off, it stays written down.

    Returns:
        The address, if nobody listens there; None if somebody does, if nothing is written down, or
        if the user names the cluster in ``RAY_ADDRESS``.
    """
    from ray._private.services import find_bootstrap_address

    if os.environ.get("RAY_ADDRESS"):
        return None
    address = find_bootstrap_address(None)
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit():
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except OSError:
        return address
    return None
