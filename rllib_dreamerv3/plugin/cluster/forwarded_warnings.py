"""Warnings of trials' processes, passed to the command through Ray's key-value store."""

import logging
from contextlib import suppress

from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    _internal_kv_put,
)

from rllib_dreamerv3.plugin.cluster.worker_status import this_actor

_WARNINGS = "rllib_dreamerv3/warnings/"
# Limit on stored warnings per process, as there may be no reader.
_KEPT = 20


class _WarningForwarder(logging.Handler):
    """Stores the last warnings of a trial's process, whose output the command does not show."""

    def __init__(self, actor: str):
        super().__init__(logging.WARNING)
        self._actor, self._count = actor, 0

    def emit(self, record: logging.LogRecord) -> None:
        number = self._count
        self._count += 1
        with suppress(Exception):
            _internal_kv_put(self._key(number), record.getMessage(), overwrite=True)
            _internal_kv_del(self._key(number - _KEPT))

    def _key(self, number: int) -> str:
        # Padded, so that keys are sorted by number.
        return f"{_WARNINGS}{self._actor}/{number:012d}"


def forward_warnings() -> None:
    """Forward this process's warnings to :func:`take_warnings`, if it is an actor's process."""
    actor = this_actor()
    logger = logging.getLogger("rllib_dreamerv3")
    if actor and not any(isinstance(handler, _WarningForwarder) for handler in logger.handlers):
        logger.addHandler(_WarningForwarder(actor))


def take_warnings() -> list[str]:
    """Return and clear the warnings of all trials, in order for each trial."""
    texts = []
    for key in sorted(_internal_kv_list(_WARNINGS)):
        text = _internal_kv_get(key)
        _internal_kv_del(key)
        if text:
            texts.append(text.decode())
    return texts
