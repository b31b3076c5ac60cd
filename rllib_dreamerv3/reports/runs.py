"""Runs as they lie on disk: which there are, what they were told, and which belong together."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.reports.curve import Curve
from rllib_dreamerv3.reports.history import RESULTS_FILE, History, flat

CURVE_FILE = "curve.png"
CONFIG_FILE = "config.yaml"
_PARAMETERS_FILE = "params.json"
# Videos, plots and film strips.
_DREAMS = ("dreams/*.mp4", "dreams/*.png", "reports/open_loop_*.png")


@dataclass(frozen=True)
class Run:
    """One trial and what it left.

    Attributes:
        directory: The trial's folder.
        history: Its results.
        group: Runs of one name differ by their seeds alone.
        title: What it is called among the others.
    """

    directory: Path
    history: History
    group: str
    title: str

    @property
    def env(self) -> str:
        """The environment's name."""
        env = str(self.history.config.get("env") or "environment unknown")
        # How a class is written down.
        match = re.fullmatch(r"<class '(?:.*\.)?(\w+)'>", env)
        return match[1] if match else env

    @property
    def curve(self) -> Curve:
        """Its returns."""
        return Curve.of(self.history, self.group, self.env)

    @property
    def dreams(self) -> list[list[Path]]:
        """Files of dreams: of each kind a list, oldest first."""
        return [
            sorted(self.directory.glob(kind), key=lambda path: (path.stat().st_mtime, path.name))
            for kind in _DREAMS
        ]

    @cached_property
    def _config_file(self) -> Mapping[str, Any]:
        try:
            found = yaml.safe_load((self.directory / CONFIG_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Of what it ran with; empty where nobody wrote them down."""
        return self._config_file.get("versions") or {}

    @property
    def options(self) -> Mapping[str, Any]:
        """Every option as it counted."""
        if options := self._config_file.get("options"):
            return options
        config = self.history.config
        variant = variant_of(config.get("model_size") or "XS", config.get("variant"))
        late = {
            name: row.default(variant)
            for name, row in OPTIONS.items()
            if name in config and config[name] is None
        }
        return {**config, **late}

    @property
    def changed(self) -> Mapping[str, Any]:
        """Options that are not as by default; without ``config.yaml`` those that were said."""
        if changed := self._config_file.get("changed"):
            return changed
        options = self.options
        return {name: options.get(name) for name in _said(self.directory) if name in options}


def find_runs(directories: Iterable[Path]) -> list[Run]:
    """Finds all runs in and below directories.

    Args:
        directories: Of trials, of experiments, or of several of these; a checkpoint stands for the
            trial that it lies in.

    Returns:
        The runs that have results.

    Raises:
        CheckpointError: If a directory is not there or holds none.
    """
    trials: dict[Path, None] = {}
    for directory in directories:
        found = trials_in(directory)
        if not found:
            raise CheckpointError(
                f"There is no {RESULTS_FILE} in {directory}, below it or beside it: it holds no "
                "results of a run."
            )
        trials.update(dict.fromkeys(found))
    groups = _groups(list(trials))
    return [
        Run(trial, History.read(trial), groups[trial], _title(trial, groups)) for trial in trials
    ]


def trials_in(directory: Path) -> list[Path]:
    """Folders with results in or below a directory, or around a checkpoint."""
    directory = directory.expanduser().resolve()
    trials = sorted(path.parent for path in directory.rglob(RESULTS_FILE))
    if not trials and (directory.parent / RESULTS_FILE).is_file():
        return [directory.parent]
    return trials


def _groups(trials: list[Path]) -> dict[Path, str]:
    """Names trials by their experiment, and by what differs within it but for seeds."""
    groups = {}
    for experiment in dict.fromkeys(trial.parent for trial in trials):
        members = [trial for trial in trials if trial.parent == experiment]
        said = {trial: dict(flat(_said(trial))) for trial in members}
        names = sorted({name for each in said.values() for name in each} - {"seed"})
        varied = [
            name for name in names if len({repr(each.get(name)) for each in said.values()}) > 1
        ]
        for trial in members:
            values = [f"{name.rpartition('/')[2]}={said[trial].get(name)}" for name in varied]
            groups[trial] = ", ".join([experiment.name, *values])
    return groups


def _title(trial: Path, groups: Mapping[Path, str]) -> str:
    """The group's name, and what tells the trial from its others."""
    if list(groups.values()).count(groups[trial]) == 1:
        return groups[trial]
    # Of a name as Tune makes them: DreamerV3_CartPole-v1_e9dfb_00001_1_seed=2_2026-11-28_17-26-58.
    number = re.search(r"_(\d{5})_", trial.name)
    seed = _said(trial).get("seed")
    which = number[1] if number else trial.name
    return f"{groups[trial]}, {which}" + (f", seed={seed}" if seed is not None else "")


def _said(trial: Path) -> dict[str, Any]:
    """The options that a trial was told."""
    try:
        said = json.loads((trial / _PARAMETERS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
