"""Status messages and warnings of worker processes, passed through Ray's key-value store.

Each message is read once.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import ray
from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    _internal_kv_put,
)

from rllib_dreamerv3.errors import (
    CallbackFailedError,
    EnvironmentDataError,
    EnvironmentFailedError,
)

_WARNINGS = "rllib_dreamerv3/warnings/"
# Limit on stored warnings per process, as there may be no reader.
_KEPT = 20
# RLlib's loggers that print tracebacks of lost env runners.
_TRACEBACK_LOGGERS = ("utils.actor_manager", "env.env_runner_group")
_WHERE_MODULES_ARE = (
    ". Ray's processes import modules from the working directory, PYTHONPATH and installed "
    "packages, not from directories that a script has added to sys.path."
)
_EXCEPTION = r"^[\w.]+(?:Error|Exception): .+$"


def post_status(text: str) -> None:
    """Posts the status of this env runner for the driver: what it is doing, or why it ends.

    Args:
        text: Replaces the previous status; empty to clear it.
    """
    actor = _this_actor()
    if actor:
        with suppress(Exception):
            _internal_kv_put(_key(actor), text, overwrite=True)


def take_status(env_runner: ray.actor.ActorHandle) -> str | None:
    """Returns and clears the status that an env runner posted; None if there is none."""
    with suppress(Exception):
        key = _key(env_runner._actor_id.hex())
        text = _internal_kv_get(key)
        if text:
            _internal_kv_put(key, b"", overwrite=True)
            return str(text.decode())
    return None


_FATAL: dict[str, type[Exception]] = {
    each.__name__: each for each in (CallbackFailedError, EnvironmentDataError)
}
"""Errors that a restart of the env runner would only repeat."""


@contextmanager
def fatal_errors_posted() -> Iterator[None]:
    """Posts an error of the user's code, which a restart of this env runner would only repeat."""
    try:
        yield
    except tuple(_FATAL.values()) as error:
        actor = _this_actor()
        if actor:
            with suppress(Exception):
                _internal_kv_put(_fatal_key(actor), f"{type(error).__name__}\n{error}")
        raise


def raise_fatal_error(env_runner: ray.actor.ActorHandle, name: str) -> None:
    """Raises the error that an env runner has posted with :func:`fatal_errors_posted`, if any.

    Args:
        env_runner: The env runner.
        name: Its name in messages.

    Raises:
        CallbackFailedError: If a callback has raised an exception.
        EnvironmentDataError: If an environment has returned invalid values.
    """
    key = _fatal_key(env_runner._actor_id.hex())
    if text := _internal_kv_get(key):
        _internal_kv_del(key)
        kind, _, message = text.decode().partition("\n")
        raise _FATAL[kind](f"{name}: {message}")


def post_start_failure(text: str) -> None:
    """Posts why this env runner could not be created."""
    if _this_actor():
        with suppress(Exception):
            _internal_kv_put(_reason_key(), text, overwrite=True)


def take_start_failure() -> str | None:
    """Returns and clears why an env runner could not be created; None if there is no reason."""
    with suppress(Exception):
        text = _internal_kv_get(_reason_key())
        if text:
            _internal_kv_del(_reason_key())
            return str(text.decode())
    return None


@contextmanager
def start_failures_reported(*, validate: bool) -> Iterator[None]:
    """Raises the reason if env runners cannot be created inside, instead of RLlib's IndexError.

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
    """Suppresses the two tracebacks that RLlib logs for each env runner it cannot create.

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
    """Returns the last line of the form ``SomeError: message`` in tracebacks; None without one."""
    found = [line for text in tracebacks for line in re.findall(_EXCEPTION, text, re.MULTILINE)]
    return found[-1] if found else None


def _reason_key() -> str:
    # A trial's env runners are in its placement group; without Tune there is no group.
    context = ray.get_runtime_context()
    return f"rllib_dreamerv3/reason/{context.get_placement_group_id() or context.get_job_id()}"


def _this_actor() -> str | None:
    # get_runtime_context() would start Ray.
    return ray.get_runtime_context().get_actor_id() if ray.is_initialized() else None


def _key(actor: str) -> str:
    # By actor id, since every trial of a sweep has an env runner 1.
    return f"rllib_dreamerv3/status/{actor}"


def _fatal_key(actor: str) -> str:
    return f"rllib_dreamerv3/fatal/{actor}"


class _WarningForwarder(logging.Handler):
    """Stores the last warnings of a trial's process, whose output the command does not show."""

    def __init__(self, actor: str):
        super().__init__(logging.WARNING)
        self._actor, self._count = actor, 0

    def emit(self, record: logging.LogRecord) -> None:
        key = f"{_WARNINGS}{self._actor}/{self._count % _KEPT:02d}"
        self._count += 1
        with suppress(Exception):
            _internal_kv_put(key, record.getMessage(), overwrite=True)


def forward_warnings() -> None:
    """Forwards this process's warnings to :func:`take_warnings`, if it is an actor's process."""
    actor = _this_actor()
    logger = logging.getLogger("rllib_dreamerv3")
    if actor and not any(isinstance(handler, _WarningForwarder) for handler in logger.handlers):
        logger.addHandler(_WarningForwarder(actor))


def take_warnings() -> list[str]:
    """Returns and clears the warnings of all trials, in order for each trial."""
    texts = []
    for key in sorted(_internal_kv_list(_WARNINGS)):
        text = _internal_kv_get(key)
        _internal_kv_del(key)
        if text:
            texts.append(text.decode())
    return texts
