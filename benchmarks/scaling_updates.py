"""Measurements of scaling.py with larger updates, and with more env runners."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from peers.interleave import Child, spread
from scaling_processes import Row, Settings

UPDATE = Path(__file__).with_name("update.py")

# Name of the axis -> (option of update.py, values, other options). The workload is given as text.
SERIES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "batch": ("batch", (4, 8, 16, 32), {"workload": "vector-xs"}),
    "length": ("length", (16, 32, 64, 128), {"workload": "vector-xs"}),
    "horizon": ("horizon", (4, 8, 15, 30), {"workload": "vector-xs"}),
    "size": (
        "workload",
        ("vector-1m", "vector-12m", "vector-25m"),
        {"batch": 8, "length": 32},
    ),
    "image size": (
        "workload",
        ("image16-xs", "image32-xs", "image-xs", "image128-xs"),
        {"batch": 4},
    ),
}


def measure_training(env_runners: int, settings: Settings) -> list[Row]:
    """Seconds for each update of a run with env runners that are actors, sampling included."""
    arguments = [f"--env-runners={env_runners}", f"--threads={settings.threads}"]
    with Child(sys.executable, "peers.own_training", arguments, settings.threads) as child:
        answer = child.ask()
        while not answer["updates"]:
            answer = child.ask()
        seconds = []
        for _ in range(settings.runs):
            before, answer = answer, child.ask()
            seconds.append(answer["seconds"] / (answer["updates"] - before["updates"]))
        numbers = {"runs": settings.runs, **spread(seconds, "s")}
        return [{**child.hello, **numbers, **child.finish()}]


def measure_update(arguments: list[str], settings: Settings) -> list[Row]:
    """The JSON object that update.py prints last."""
    command = [sys.executable, str(UPDATE), *arguments, f"--runs={settings.runs}", "--json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(output.splitlines()[-1])]
