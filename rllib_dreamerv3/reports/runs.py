"""Finds runs on disk, with their options, and groups them by seed."""

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
from rllib_dreamerv3.reports.run_files import read_text

CURVE_FILE = "curve.png"
CONFIG_FILE = "config.yaml"
_PARAMETERS_FILE = "params.json"
# Options take some ten kilobytes.
_MAX_BYTES = 10_000_000
# Videos, plots and film strips.
_DREAMS = ("dreams/*.mp4", "dreams/*.png", "reports/open_loop_*.png")


@dataclass(frozen=True)
class Run:
    """One trial on disk.

    Attributes:
        directory: The trial's folder.
        history: Its results.
        group: Common name of runs that differ only in their seeds.
        title: Unique name among the runs.
    """

    directory: Path
    history: History
    group: str
    title: str

    @property
    def env(self) -> str:
        """The environment's name."""
        env = str(self.history.config.get("env") or "environment unknown")
        # The form of a class in params.json.
        match = re.fullmatch(r"<class '(?:.*\.)?(\w+)'>", env)
        return match[1] if match else env

    @property
    def curve(self) -> Curve:
        """The run's returns."""
        return Curve.of(self.history, self.group, self.env)

    @property
    def dreams(self) -> list[list[Path]]:
        """Files of dreams: a list for each kind, oldest first."""
        return [
            sorted(self.directory.glob(kind), key=lambda path: (path.lstat().st_mtime, path.name))
            for kind in _DREAMS
        ]

    @cached_property
    def _config_file(self) -> Mapping[str, Any]:
        try:
            text = read_text(self.directory / CONFIG_FILE, self.directory, _MAX_BYTES)
            # Few aliases of aliases are many gigabytes of text, and runs write none.
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
                return {}
            found = yaml.safe_load(text)
        except (OSError, ValueError, RecursionError, yaml.YAMLError, CheckpointError):
            return {}
        return {
            name: value
            for name, value in (found.items() if isinstance(found, dict) else ())
            if isinstance(value, dict)
        }

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages of the run; empty without ``config.yaml``."""
        return self._config_file.get("versions") or {}

    @property
    def options(self) -> Mapping[str, Any]:
        """All options, with the variant's defaults resolved."""
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
        """Options that differ from their defaults; without ``config.yaml`` those of Tune."""
        if changed := self._config_file.get("changed"):
            return changed
        options = self.options
        return {
            name: options.get(name) for name in given_options(self.directory) if name in options
        }


def find_runs(directories: Iterable[Path]) -> list[Run]:
    """Find all runs in and below directories.

    Args:
        directories: Directories of trials, experiments, or several experiments. A checkpoint stands
            for its trial.

    Returns:
        The runs with results.

    Raises:
        CheckpointError: If a directory does not exist or contains no results.
    """
    trials: dict[Path, None] = {}
    for directory in directories:
        found = trials_in(directory)
        if not found:
            raise CheckpointError(
                f"There is no {RESULTS_FILE} in {directory}, below it or beside it: it contains no "
                "results of a run."
            )
        trials.update(dict.fromkeys(found))
    groups = _groups(list(trials))
    return [
        Run(trial, History.read(trial), groups[trial], _title(trial, groups)) for trial in trials
    ]


def trials_in(directory: Path) -> list[Path]:
    """Return the folders with results in or below a directory, or that of a checkpoint.

    Raises:
        CheckpointError: If there is no such directory.
    """
    directory = directory.expanduser().resolve()
    if not directory.is_dir():
        raise CheckpointError(f"There is no directory {directory}.")
    trials = sorted(path.parent for path in directory.rglob(RESULTS_FILE))
    if not trials and (directory.parent / RESULTS_FILE).is_file():
        return [directory.parent]
    return trials


def _groups(trials: list[Path]) -> dict[Path, str]:
    """Name trials by their experiment, and by options that differ within it, except the seed."""
    groups = {}
    for experiment in dict.fromkeys(trial.parent for trial in trials):
        members = [trial for trial in trials if trial.parent == experiment]
        given = {trial: dict(flat(given_options(trial))) for trial in members}
        names = sorted({name for each in given.values() for name in each} - {"seed"})
        varied = [
            name for name in names if len({repr(each.get(name)) for each in given.values()}) > 1
        ]
        for trial in members:
            values = [f"{name.rpartition('/')[2]}={given[trial].get(name)}" for name in varied]
            groups[trial] = ", ".join([experiment.name, *values])
    return groups


def _title(trial: Path, groups: Mapping[Path, str]) -> str:
    """Return the group's name, with the trial's number and seed if there are several."""
    if list(groups.values()).count(groups[trial]) == 1:
        return groups[trial]
    # Tune's names: DreamerV3_CartPole-v1_e9dfb_00001_1_seed=2_2026-11-28_17-26-58.
    number = re.search(r"_(\d{5})_", trial.name)
    seed = given_options(trial).get("seed")
    which = number[1] if number else trial.name
    return f"{groups[trial]}, {which}" + (f", seed={seed}" if seed is not None else "")


def given_options(trial: Path) -> dict[str, Any]:
    """Return the options that Tune gave to a trial; empty without its ``params.json``."""
    try:
        given = json.loads(read_text(trial / _PARAMETERS_FILE, trial, _MAX_BYTES))
    except (OSError, ValueError, RecursionError, CheckpointError):
        return {}
    return given if isinstance(given, dict) else {}
