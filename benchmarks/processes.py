"""Starts, inspects and kills processes of benchmarks, with their child processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def process(arguments: list[str], log: Path) -> Iterator[subprocess.Popen]:
    """A Python process in its own session. All its processes are ended with it.

    Args:
        arguments: What follows ``python``.
        log: Gets its output.

    Yields:
        The process.
    """
    with open(log, "w") as output:
        started = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
            start_new_session=True,
            preexec_fn=heed_signals,
        )
    try:
        yield started
    finally:
        kill_all(started)


def heed_signals() -> None:
    """Undo what a shell does to processes in the background, which hand it on, and nohup."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def processes_of(session: int, prefix: str = "") -> list[int]:
    """Processes of a session whose command line begins with ``prefix``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line, state = (entry / "cmdline").read_text(), (entry / "stat").read_text()
            ours = os.getsid(int(entry.name)) == session and ") Z " not in state
        except OSError:
            continue
        if ours and line.startswith(prefix):
            found.append(int(entry.name))
    return found


def left_behind(session: int, seconds: float = 20) -> list[int]:
    """Processes of a session that are still there some seconds after its end."""
    deadline = time.monotonic() + seconds
    while (found := processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def kill(processes: list[int]) -> None:
    """End processes without a word."""
    for number in processes:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def kill_all(started: subprocess.Popen) -> None:
    """End a process and all that it has started at once, as a power failure does."""
    while left := processes_of(started.pid):
        kill(left)
    started.wait()


def wait_until(
    condition: Callable[[], bool], started: subprocess.Popen, log: Path, seconds: float = 600
) -> None:
    """Wait for what a process does.

    Raises:
        RuntimeError: It has ended before, or takes longer.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if started.poll() is not None:
            raise RuntimeError(f"The process has ended by itself:\n{log.read_text()}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"Nothing for {seconds} s:\n{log.read_text()}")
        time.sleep(0.05)
