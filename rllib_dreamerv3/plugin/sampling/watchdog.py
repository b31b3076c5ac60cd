"""Reports calls of environments that take too long."""

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rllib_dreamerv3.plugin.cluster.worker_status import post_status

logger = logging.getLogger(__name__)

_CHECKS = 5  # per timeout


class Watchdog:
    """Watches the calls of one env runner's environments in a background thread.

    Reports a call that takes too long once: in the log, and as the env runner's status for the
    driver.
    """

    def __init__(self, env_runner: str, environment: object, patience_s: float):
        """Start watching.

        Args:
            env_runner: Name of the env runner.
            environment: Name of its environments.
            patience_s: Seconds after which a call is reported.
        """
        self._env_runner, self._environment, self._patience_s = env_runner, environment, patience_s
        self._call, self._began, self._thread = "", 0.0, threading.get_ident()
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="environment watchdog").start()

    @contextmanager
    def during(self, call: str) -> Iterator[None]:
        """Watch a call, which runs inside the context.

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
        self._over.set()

    def _watch(self) -> None:
        reported = 0.0
        while not self._over.wait(self._patience_s / _CHECKS):
            call, began = self._call, self._began
            if call and began == reported:
                continue
            if reported:
                post_status("")  # The call has returned.
                reported = 0.0
            seconds = time.monotonic() - began
            if call and seconds >= self._patience_s:
                reported = began
                text = (
                    f"{self._env_runner} has been in {call}() of {self._environment!r} for "
                    f"{seconds:.0f} s{self._where()}"
                )
                logger.warning("%s. It may hang.", text)
                post_status(text)

    def _where(self) -> str:
        frame = sys._current_frames().get(self._thread)
        if frame is None:
            return ""
        last = traceback.extract_stack(frame)[-1]
        return f", at {last.filename}:{last.lineno} in {last.name}"
