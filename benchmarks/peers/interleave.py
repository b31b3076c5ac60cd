"""The measuring side: starts processes, lets them work in turns, compares their times.

A machine's speed drifts with its other load and its temperature. Two programs that are measured
one after the other meet two machines; in turns, A B A B ..., they meet the same one, and the ratio
of neighbours is worth more than either time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

BENCHMARKS = Path(__file__).resolve().parents[1]
# Idle threads of a numerics library look for new work for a while before they sleep.
PAUSE_SECONDS = 0.3
ERROR_LINES = 25
# Above this share of all CPUs, in any turn, times are not those of an idle machine.
DISTURBED = 0.1

Message = dict[str, Any]


class ChildError(RuntimeError):
    """A measured process has ended before it should."""


class Child:
    """A process that serves :mod:`peers.protocol`.

    Attributes:
        hello: What the process says of itself.
    """

    def __init__(
        self, python: str | Path, module: str, arguments: Sequence[str] = (), threads: int = 0
    ):
        """Start ``python -m module`` and wait until it is ready.

        Args:
            python: Interpreter of the environment that has what the module needs.
            module: Module below ``benchmarks/``, for example ``peers.rllib_update``.
            arguments: Its command line.
            threads: Threads of OpenMP, which must be known before a library is loaded; 0 for its
                own choice.

        Raises:
            ChildError: If the process ends at once; the message has its last words.
        """
        self._name = module
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            [str(python), "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=BENCHMARKS,
            env=os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {}),
        )
        self.hello = self._read()

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._errors):
            if file:
                file.close()

    def ask(self) -> Message:
        """Let the process work once; return its answer.

        Returns:
            The answer, and ``others_cpu_share``: the share of all CPUs that other processes used
            meanwhile.
        """
        assert self._process.stdin is not None
        began, busy, own = time.perf_counter(), _busy_seconds(), self._cpu_seconds()
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # reading says why
        answer = self._read()
        others = _busy_seconds() - busy - (self._cpu_seconds() - own)
        available = (time.perf_counter() - began) * os.cpu_count()
        return answer | {"others_cpu_share": max(0.0, others / available)}

    def finish(self) -> Message:
        """End the process; return what it says at its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        goodbye = self._read()
        self._process.wait()
        return goodbye

    def _cpu_seconds(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def _read(self) -> Message:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._errors.seek(0)
        last_words = "".join(self._errors.readlines()[-ERROR_LINES:])
        raise ChildError(f"{self._name} ended with exit code {code}. Its last lines:\n{last_words}")


def _busy_seconds() -> float:
    """CPU seconds of all processes since the machine started, and those that a host withheld."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0)


def take_turns(children: Sequence[Child], rounds: int) -> list[list[Message]]:
    """Let processes work one at a time, A B A B ...

    Args:
        children: The processes.
        rounds: How often each of them works.

    Returns:
        The answers of each process, in the order of ``children``.
    """
    answers: list[list[Message]] = [[] for _ in children]
    for _ in range(rounds):
        for child, own in zip(children, answers, strict=True):
            time.sleep(PAUSE_SECONDS if len(children) > 1 else 0)
            own.append(child.ask())
    return answers


def spread(values: Sequence[float], name: str) -> dict[str, float]:
    """Median, least and greatest, as ``median_<name>``, ``min_<name>`` and ``max_<name>``."""
    return {
        f"median_{name}": statistics.median(values),
        f"min_{name}": min(values),
        f"max_{name}": max(values),
    }


def disturbance(answers: Sequence[Sequence[Message]]) -> Message:
    """Return the shares of all CPUs that other processes used, and whether they were too large."""
    shares = [x["others_cpu_share"] for answer in answers for x in answer]
    return {**spread(shares, "others_cpu_share"), "disturbed": max(shares) > DISTURBED}


def ratios(dividends: Sequence[float], divisors: Sequence[float], name: str) -> dict[str, float]:
    """Spread of the ratios of neighbours, :func:`spread`."""
    return spread([a / b for a, b in zip(dividends, divisors, strict=True)], name)


def add_peer_choice(parser: argparse.ArgumentParser, peers: Sequence[str]) -> None:
    """Add the options that say who the peer is."""
    parser.add_argument("--vs", choices=peers, help="another DreamerV3 to compare with")
    parser.add_argument("--peer-python", help="Python interpreter of its environment")


def add_peer_arguments(parser: argparse.ArgumentParser, peers: Sequence[str]) -> None:
    """Add the options that all comparisons in turns share."""
    add_peer_choice(parser, peers)
    parser.add_argument("--json", action="store_true", help="last line: the numbers as JSON")


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program if options contradict each other, or if a number is too small."""
    for name, value in vars(options).items():
        least = 0 if name == "seed" else 1
        if isinstance(value, int) and not isinstance(value, bool) and value < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}")
    if bool(options.vs) != bool(options.peer_python):
        parser.error("--vs and --peer-python belong together")


def print_table(numbers: Message, indent: str = "") -> None:
    """Print one name and its value a line; what is nested under a name is indented.

    List are left to those who read JSON.
    """
    for name, value in numbers.items():
        label = indent + name
        if isinstance(value, list):
            continue
        if isinstance(value, dict):
            print(f"{label}:")
            print_table(value, indent + "  ")
        elif isinstance(value, float):
            print(f"{label:<30}{value:>16,.6g}")
        else:
            print(f"{label:<30}{value!s:>16}")
    sys.stdout.flush()
