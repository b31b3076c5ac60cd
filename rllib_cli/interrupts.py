"""Ctrl-C and its like: once to save and stop, twice to stop at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Of a closed terminal comes the last one.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Takes the first Ctrl-C, SIGTERM or SIGHUP as a wish, and raises at the second.

    A signal that is ignored, as SIGHUP is under ``nohup``, stays ignored.

    Attributes:
        requested: Whether a wish to stop has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        # Only the main thread may do this, and only it gets signals.
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._arrived)
                for number in _SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextlib.contextmanager
def without_hangup() -> Iterator[None]:
    """Lets processes that are started in the block outlive the terminal, to save the run first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
