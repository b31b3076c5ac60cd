"""Work that goes on in another thread while this one is busy with something long."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Meanwhile:
    """Repeats small pieces of work while the caller is inside :meth:`busy`, and never outside.

    So the work needs no locks: it may use whatever the caller leaves alone while it is busy.
    """

    def __init__(self, work: Callable[[], None], pause: Callable[[], None]):
        """Starts a thread that has nothing to do yet.

        Args:
            work: One piece. An exception of it ends the work, and is raised where the caller was
                busy.
            pause: Waits for the next piece; may go on while the caller is no longer busy.
        """
        self._work, self._pause = work, pause
        self._busy, self._working = threading.Event(), threading.Lock()
        self._is_over = False
        self._error: Exception | None = None
        threading.Thread(target=self._run, daemon=True, name="sampling meanwhile").start()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Lets the other thread work while what is inside runs."""
        self._busy.set()
        try:
            yield
        finally:
            self._busy.clear()
            with self._working:  # The last piece has ended.
                error, self._error = self._error, None
        if error is not None:
            raise error

    def stop(self) -> None:
        """Ends the thread."""
        self._is_over = True
        self._busy.set()

    def _run(self) -> None:
        while True:
            self._busy.wait()
            if self._is_over:
                return
            with self._working:
                if not self._busy.is_set():
                    continue
                try:
                    self._work()
                except Exception as error:
                    self._error = error
                    self._busy.clear()
                    continue
            self._pause()
