"""Signals: the first saves and stops the run, the second stops it at once."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# A closed terminal sends SIGHUP.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Records the first Ctrl-C, SIGTERM or SIGHUP, and raises KeyboardInterrupt at the second.

    Ignored signals, such as SIGHUP under ``nohup``, stay ignored.

    Attributes:
        requested: Whether a signal has arrived.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        # Only the main thread may set handlers, and only it receives signals.
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._on_signal)
                for number in _SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextlib.contextmanager
def in_own_groups() -> Iterator[None]:
    """Let Ray start its processes in their own process groups inside the block.

    A closed terminal, GNU ``timeout`` and batch systems signal a whole group. Only the command may
    receive that: it needs Ray's processes to save the run. They end with it all the same, since Ray
    has the kernel end them.
    """
    from ray._private import services

    started_by: Any = services.ConsolePopen

    class InOwnGroup(started_by):
        def __init__(self, *args: Any, preexec_fn: Callable[[], None], **options: Any):
            def prepare() -> None:
                os.setpgid(0, 0)
                preexec_fn()

            super().__init__(*args, preexec_fn=prepare, **options)

    services.ConsolePopen = InOwnGroup
    try:
        yield
    finally:
        services.ConsolePopen = started_by
