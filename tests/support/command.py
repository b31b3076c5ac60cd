"""The command in processes of its own, and what can be read off its output."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TINY = {
    "model_size": "nano",
    "batch_size_B": 2,
    "batch_length_T": 8,
    "horizon_H": 3,
    "training_ratio": 16,
    "num_steps_sampled_before_learning_starts": 32,
    "min_time_s_per_iteration": 1,
}
RESULT_LINE = re.compile(r"^ +(\d+) +[\d,]+ +[\d,]+ ")


def start(*arguments, within=()):
    """Starts the command in a process group of its own, as a shell does; maybe by another one."""
    return subprocess.Popen(
        [*within, sys.executable, "-m", "rllib_cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        preexec_fn=hear_signals,
    )


def hear_signals():
    """Whoever runs the tests may ignore signals, and a child would too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def run(*arguments, **options):
    """Runs the command to its end; returns its exit code and what it wrote."""
    process = start(*arguments, **options)
    output, _ = process.communicate()
    return process.returncode, output


def iterations(output):
    """The numbers of the iterations whose results an output shows."""
    lines = (RESULT_LINE.match(line) for line in output.splitlines())
    return [int(line.group(1)) for line in lines if line]


def processes_of_session(session, prefix=""):
    """Processes that a command has started, Ray's too, whose command line begins with a prefix."""
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


def left_behind(session):
    """Processes that a command has started and that are still there some seconds after its end."""
    deadline = time.monotonic() + 20
    while (found := processes_of_session(session)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
