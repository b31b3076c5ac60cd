"""Why env runners could not be created, passed to the driver through Ray's key-value store."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import ray
from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put

from rllib_dreamerv3.errors import EnvironmentFailedError
from rllib_dreamerv3.plugin.cluster.worker_status import this_actor

# RLlib's loggers that print tracebacks of lost env runners.
_TRACEBACK_LOGGERS = ("utils.actor_manager", "env.env_runner_group")
_WHERE_MODULES_ARE = (
    ". Ray's processes import modules from the working directory, PYTHONPATH and installed "
    "packages, not from directories that a script has added to sys.path."
)
_EXCEPTION = r"^[\w.]+(?:Error|Exception): .+$"


def post_start_failure(text: str) -> None:
    """Post why this env runner could not be created."""
    if this_actor():
        with suppress(Exception):
            _internal_kv_put(_reason_key(), text, overwrite=True)


def take_start_failure() -> str | None:
    """Return and clear why an env runner could not be created; None if there is no reason."""
    with suppress(Exception):
        text = _internal_kv_get(_reason_key())
        if text:
            _internal_kv_del(_reason_key())
            return str(text.decode())
    return None


@contextmanager
def start_failures_reported(*, validate: bool) -> Iterator[None]:
    """Raise the reason if env runners cannot be created inside, instead of RLlib's IndexError.

    Args:
        validate: Whether to raise for any env runner; else only if RLlib itself raises.

    Raises:
        EnvironmentFailedError: If an env runner could not be created.
    """
    take_start_failure()
    tracebacks: list[str] = []
    try:
        with _without_rllibs_tracebacks() as tracebacks:
            yield
    except Exception as error:
        reason = take_start_failure() or last_exception(tracebacks)
        if reason is None:
            raise
        raise _not_created(reason) from error
    if validate and (reason := take_start_failure()):
        raise _not_created(reason)


def _not_created(reason: str) -> EnvironmentFailedError:
    where = _WHERE_MODULES_ARE if "ModuleNotFoundError" in reason else ""
    return EnvironmentFailedError(f"An env runner could not be created. {reason}{where}")


@contextmanager
def _without_rllibs_tracebacks() -> Iterator[list[str]]:
    """Suppress the two tracebacks that RLlib logs for each env runner it cannot create.

    Yields:
        The suppressed messages, a list that grows.
    """
    kept: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        kept.append(record.getMessage())
        return False

    loggers = [logging.getLogger(f"ray.rllib.{name}") for name in _TRACEBACK_LOGGERS]
    for logger in loggers:
        logger.addFilter(keep)
    try:
        yield kept
    finally:
        for logger in loggers:
            logger.removeFilter(keep)


def last_exception(tracebacks: Iterable[str]) -> str | None:
    """Return the last line of the form ``SomeError: message`` in tracebacks; None without one."""
    found = [line for text in tracebacks for line in re.findall(_EXCEPTION, text, re.MULTILINE)]
    return found[-1] if found else None


def _reason_key() -> str:
    # A trial's env runners are in its placement group; without Tune there is no group.
    context = ray.get_runtime_context()
    return f"rllib_dreamerv3/reason/{context.get_placement_group_id() or context.get_job_id()}"
