"""Runs the command in separate processes, and parses its output."""

import os
import re
import subprocess
import sys
from pathlib import Path

import tiny_run
from processes import heed_signals

REPOSITORY = Path(__file__).parents[2]
TINY = {**tiny_run.TINY, "min_time_s_per_iteration": 1}
RESULT_LINE = re.compile(r"^ +(\d+) +[\d,]+ +[\d,]+ ")


def start(*arguments, within=()):
    """Starts the command in a separate process group, optionally by another command."""
    return subprocess.Popen(
        [*within, sys.executable, "-m", "rllib_cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        preexec_fn=heed_signals,
    )


def run(*arguments, **options):
    """Runs the command to its end; returns its exit code and what it wrote."""
    process = start(*arguments, **options)
    output, _ = process.communicate()
    return process.returncode, output


def iterations(output):
    """The numbers of the iterations whose results an output shows."""
    lines = (RESULT_LINE.match(line) for line in output.splitlines())
    return [int(line.group(1)) for line in lines if line]
