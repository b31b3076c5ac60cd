"""Notices when an environment does not return, and tells where it is."""

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rllib_dreamerv3.plugin.messages import leave_words

logger = logging.getLogger(__name__)

_CHECKS = 5  # in the time after which a call is told of


class Watchdog:
    """Watches the calls of one env runner's environments from a thread of its own.

    A call that takes too long is told of once, in the log and, for the process that waits for this
    env runner, under the env runner's name.
    """

    def __init__(self, env_runner: str, environment: object, patience_s: float):
        """Starts watching.

        Args:
            env_runner: Whose environments are watched.
            environment: What they are called.
            patience_s: Seconds that a call may take.
        """
        self._env_runner, self._environment, self._patience_s = env_runner, environment, patience_s
        self._call, self._began, self._thread = "", 0.0, threading.get_ident()
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="environment watchdog").start()

    @contextmanager
    def during(self, call: str) -> Iterator[None]:
        """Watches what happens inside.

        Args:
            call: ``__init__``, ``reset`` or ``step``.
        """
        self._began, self._thread = time.monotonic(), threading.get_ident()
        self._call = call
        try:
            yield
        finally:
            self._call = ""

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()

    def _watch(self) -> None:
        told = 0.0
        while not self._over.wait(self._patience_s / _CHECKS):
            call, began = self._call, self._began
            if call and began == told:
                continue
            if told:
                leave_words("")  # It has returned after all.
                told = 0.0
            seconds = time.monotonic() - began
            if call and seconds >= self._patience_s:
                told = began
                text = (
                    f"{self._env_runner} has been in {call}() of {self._environment!r} for "
                    f"{seconds:.0f} s{self._where()}"
                )
                logger.warning("%s. It may hang.", text)
                leave_words(text)

    def _where(self) -> str:
        frame = sys._current_frames().get(self._thread)
        if frame is None:
            return ""
        last = traceback.extract_stack(frame)[-1]
        return f", at {last.filename}:{last.lineno} in {last.name}"
