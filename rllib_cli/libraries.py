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

from rllib_cli.errors import RunError, reraise_as
from rllib_cli.interrupts import in_own_groups
from rllib_dreamerv3.startup import import_path

_CONNECT_TIMEOUT_S = 3.0


def log_level(verbosity: int) -> int:
    """The log level of a verbosity: errors (0), messages (1) or everything (2)."""
    return {0: logging.ERROR, 1: logging.INFO}.get(verbosity, logging.DEBUG)


@contextmanager
def loading_libraries(verbosity: int) -> Iterator[None]:
    """Set log levels for the first import of TensorFlow and Ray, and afterwards.

    Args:
        verbosity: 0: errors; 1: also warnings and messages; 2: everything.

    Yields:
        Nothing.
    """
    # Tune's own tables would repeat what this command shows.
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    if verbosity == 0:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # conclude() reports failed trials at the end, without tracebacks.
        os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
        warnings.simplefilter("ignore")
    elif verbosity == 1:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    else:
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    with _buffered_stderr(verbosity == 0):
        yield
    # Ray sets the level of its loggers when it is imported.
    for name in ("ray", "ray.rllib", "tensorflow", "absl", "gymnasium"):
        logging.getLogger(name).setLevel(log_level(verbosity))
    if verbosity == 0:
        logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)


@contextmanager
def _buffered_stderr(enabled: bool) -> Iterator[None]:
    """Discard standard error inside the block, unless the block fails.

    TensorFlow's C++ code logs before any log level applies.
    """
    if not enabled:
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        except BaseException:
            buffer.seek(0)
            os.write(terminal, buffer.read())
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
    show: Callable[[str], None],
) -> str:
    """Start Ray or connects to a running cluster.

    Args:
        arguments: Arguments of ``ray.init``.
        pythonpath: Whether to pass our ``PYTHONPATH`` to the processes of a running cluster.
        verbosity: See :func:`loading_libraries`.
        show: Prints a message.

    Returns:
        Directory of the processes' logs.

    Raises:
        RunError: If the cluster cannot be reached.
    """
    import ray
    from ray.job_config import JobConfig

    # Ray puts the working directory first in the import path of all its processes, unless this
    # variable says that another process has done so.
    arguments = {**arguments, "job_config": JobConfig(_client_job=True)}
    variables = [*(["PYTHONPATH"] if pythonpath else []), import_path.VARIABLE]
    inherited = {name: os.environ[name] for name in variables if name in os.environ}
    if inherited and "address" in arguments:
        # Processes of a running cluster do not inherit them.
        arguments["runtime_env"] = {"env_vars": inherited}
    if arguments.get("address") in (None, "auto") and (lost := find_lost_cluster()):
        last = f"The last cluster of this machine, at {lost}, does not respond"
        if "address" in arguments:
            raise RunError(f"{last}: start one with `ray start --head`, or pass its address.")
        show(f"{last}; starting Ray here.")
        arguments["address"] = "local"
    with reraise_as(RunError, verbosity), in_own_groups():
        context = ray.init(
            **arguments,
            include_dashboard=False,
            log_to_driver=verbosity > 0,
            logging_level=log_level(verbosity),
        )
    return f"{context.address_info['session_dir']}/logs"


def find_lost_cluster() -> str | None:
    """Find a dead cluster that Ray would try to join for minutes.

    Ray stores the address of the last cluster that was started on a machine, also after that
    cluster was killed.

    Returns:
        The stored address if nothing listens there; None if a cluster does, if none is stored, or
        if the user set ``RAY_ADDRESS``.
    """
    from ray._private.services import find_bootstrap_address

    if os.environ.get("RAY_ADDRESS"):
        return None
    address = find_bootstrap_address(None)
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit():
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()
    except OSError:
        return address
    return None
