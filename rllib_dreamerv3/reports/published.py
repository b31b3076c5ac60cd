"""Published scores to compare a run with; their files in ``reference/`` name the sources."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from rllib_dreamerv3.options.model_sizes import variant_of

_FOLDER = files("rllib_dreamerv3.reports") / "reference"
_YEARS = {"v1": "2023", "v2": "2025"}

Suite = Literal["atari", "dm_control"]


@dataclass(frozen=True)
class Window:
    """Published returns of the training episodes that ended in a window of env steps.

    Attributes:
        begin: Env steps as counted by RLlib (decisions), exclusive.
        end: The same, inclusive.
        returns: Mean return of each seed with an episode in the window; empty if only the
            statistics below are known.
        mean: Mean over seeds.
        deviation: Population standard deviation over seeds.
        seeds: Number of seeds.
    """

    begin: float
    end: float
    returns: tuple[float, ...]
    mean: float
    deviation: float
    seeds: int

    @classmethod
    def of_seeds(cls, begin: float, end: float, returns: tuple[float, ...]) -> "Window":
        """Compute the statistics from the values of the seeds."""
        return cls(
            begin, end, returns, float(np.mean(returns)), float(np.std(returns)), len(returns)
        )

    def __str__(self) -> str:
        """``(20,000, 25,000]``."""
        return f"({self.begin:,.0f}, {self.end:,.0f}]"


@dataclass(frozen=True)
class Published:
    """Published returns of one task.

    Attributes:
        label: Label in the legend.
        source: Source of the numbers.
        windows: At least one window, by their ends.
    """

    label: str
    source: str
    windows: tuple[Window, ...]

    @property
    def steps(self) -> tuple[float, ...]:
        """The middle of each window, in env steps."""
        return tuple((window.begin + window.end) / 2 for window in self.windows)

    @property
    def seeds(self) -> int:
        """Number of seeds in most windows."""
        counts = [window.seeds for window in self.windows]
        return max(counts, key=counts.count)


def published(env: str, config: Mapping[str, Any]) -> Published | None:
    """Find the published scores of an environment.

    Args:
        env: Its name; a module before a colon is ignored.
        config: The options of the run.

    Returns:
        The scores of the run's published version. None if there are none, or if the environment is
        configured differently: with another action repeat, or with sticky actions in Atari.
    """
    options = config.get("env_config") or {}
    suite, task = suite_and_task(env)
    if suite == "atari":
        alike = options.get("frameskip", 4) == 4
        alike = alike and not options.get("repeat_action_probability")
        file = f"atari100k_{_year(config)}"
    elif suite == "dm_control":
        alike = options.get("action_repeat", 2) == 2
        file = f"dmc_vision_{_year(config)}" if options.get("pixels") else "dmc_proprio"
    else:
        return None
    return scores_of(file).get(task) if alike else None


def suite_and_task(env: str) -> tuple[Suite | None, str]:
    """Return the suite of an environment's id, and the task's name in the reference files.

    Args:
        env: The id; a module before a colon is ignored. ``ALE/UpNDown-v5`` is the task
            ``up_n_down``, ``dm_control/finger-spin-v0`` the task ``finger_spin``.
    """
    name = env.rpartition(":")[2]
    if match := re.fullmatch(r"ALE/(\w+)-v5", name):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", match[1])
        return "atari", words.lower()
    if match := re.fullmatch(r"dm_control/([\w-]+)-v0", name):
        return "dm_control", match[1].replace("-", "_")
    return None, ""


@cache
def scores_of(file: str) -> Mapping[str, Published]:
    """Read the scores of all tasks in a reference file.

    Args:
        file: Its name in ``reference/``, without ``.csv``.

    Returns:
        Task -> its scores.
    """
    lines = (_FOLDER / f"{file}.csv").read_text(encoding="utf-8").splitlines()
    source = " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    windows: dict[str, list[Window]] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        begin, end = float(row["begin"]), float(row["end"])
        if returns := tuple(map(float, row["returns"].split())):
            window = Window.of_seeds(begin, end, returns)
        else:
            mean, deviation = float(row["mean"]), float(row["deviation"])
            window = Window(begin, end, (), mean, deviation, int(row["seeds"]))
        windows.setdefault(row["task"], []).append(window)
    label = f"published, {file.replace('_', ' ')}"
    return {task: Published(label, source, tuple(found)) for task, found in windows.items()}


def _year(config: Mapping[str, Any]) -> str:
    return _YEARS[variant_of(config.get("model_size") or "XS", config.get("variant"))]
