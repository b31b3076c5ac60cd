"""What a process wants to be known while another waits for it: kept by Ray, read once."""

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

from rllib_dreamerv3.errors import EnvironmentFailedError

_WARNINGS = "rllib_dreamerv3/warnings/"
# Nobody may be there to read them.
_KEPT = 20
_TELL_OF_LOST_ENV_RUNNERS = ("utils.actor_manager", "env.env_runner_group")
_WHERE_MODULES_ARE = (
    ". Ray's processes look for modules in the working directory, in PYTHONPATH and among what is "
    "installed, and not where a script has added to sys.path."
)
_EXCEPTION = r"^[\w.]+(?:Error|Exception): .+$"


def post_status(text: str) -> None:
    """Tells the process that waits for this env runner what it is doing, or why it ends.

    Args:
        text: Replaces what was left before; empty for nothing.
    """
    actor = _this_actor()
    if actor:
        with suppress(Exception):
            _internal_kv_put(_key(actor), text, overwrite=True)


def take_status(env_runner: ray.actor.ActorHandle) -> str | None:
    """What an env runner left, and forgets it; None if nothing."""
    with suppress(Exception):
        key = _key(env_runner._actor_id.hex())
        text = _internal_kv_get(key)
        if text:
            _internal_kv_put(key, b"", overwrite=True)
            return str(text.decode())
    return None


def post_start_failure(text: str) -> None:
    """Tells the process that makes this env runner why it could not be made."""
    if _this_actor():
        with suppress(Exception):
            _internal_kv_put(_reason_key(), text, overwrite=True)


def take_start_failure() -> str | None:
    """Why one of the env runners that this process makes could not be made, and forgets it."""
    with suppress(Exception):
        text = _internal_kv_get(_reason_key())
        if text:
            _internal_kv_del(_reason_key())
            return str(text.decode())
    return None


@contextmanager
def start_failures_reported(*, validate: bool) -> Iterator[None]:
    """Says why env runners that are made inside could not be made, where RLlib says IndexError.

    Args:
        validate: Whether one is enough; else only what RLlib fails of is told.

    Raises:
        EnvironmentFailedError: One could not be made.
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
        raise _not_made(reason) from error
    if validate and (reason := take_start_failure()):
        raise _not_made(reason)


def _not_made(reason: str) -> EnvironmentFailedError:
    where = _WHERE_MODULES_ARE if "ModuleNotFoundError" in reason else ""
    return EnvironmentFailedError(f"An env runner could not be made. {reason}{where}")


@contextmanager
def _without_rllibs_tracebacks() -> Iterator[list[str]]:
    """Keeps RLlib from printing two tracebacks for each env runner that cannot be made.

    Yields:
        What was not printed, as it comes.
    """
    kept: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        kept.append(record.getMessage())
        return False

    loggers = [logging.getLogger(f"ray.rllib.{name}") for name in _TELL_OF_LOST_ENV_RUNNERS]
    for logger in loggers:
        logger.addFilter(keep)
    try:
        yield kept
    finally:
        for logger in loggers:
            logger.removeFilter(keep)


def last_exception(tracebacks: Iterable[str]) -> str | None:
    """The last line of the form ``SomeError: words`` in some tracebacks."""
    found = [line for text in tracebacks for line in re.findall(_EXCEPTION, text, re.MULTILINE)]
    return found[-1] if found else None


def _reason_key() -> str:
    # The env runners of a trial are in its placement group; without Tune there is none.
    context = ray.get_runtime_context()
    return f"rllib_dreamerv3/reason/{context.get_placement_group_id() or context.get_job_id()}"


def _this_actor() -> str | None:
    # Ray's context would start Ray.
    return ray.get_runtime_context().get_actor_id() if ray.is_initialized() else None


def _key(actor: str) -> str:
    # Its name alone would not do: trials of one sweep all have an env runner 1.
    return f"rllib_dreamerv3/words/{actor}"


class _WarningForwarder(logging.Handler):
    """Keeps the last warnings of a trial's process, whose output the command does not show."""

    def __init__(self, actor: str):
        super().__init__(logging.WARNING)
        self._actor, self._count = actor, 0

    def emit(self, record: logging.LogRecord) -> None:
        key = f"{_WARNINGS}{self._actor}/{self._count % _KEPT:02d}"
        self._count += 1
        with suppress(Exception):
            _internal_kv_put(key, record.getMessage(), overwrite=True)


def forward_warnings() -> None:
    """Lets :func:`take_warnings` have this process's warnings from now on, if it is an actor's."""
    actor = _this_actor()
    logger = logging.getLogger("rllib_dreamerv3")
    if actor and not any(isinstance(handler, _WarningForwarder) for handler in logger.handlers):
        logger.addHandler(_WarningForwarder(actor))


def take_warnings() -> list[str]:
    """Returns, and forgets, what trials warned of, each trial's in the order of its time."""
    texts = []
    for key in sorted(_internal_kv_list(_WARNINGS)):
        text = _internal_kv_get(key)
        _internal_kv_del(key)
        if text:
            texts.append(text.decode())
    return texts
