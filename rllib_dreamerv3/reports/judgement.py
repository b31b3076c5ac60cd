"""Judges runs of a published task by the returns of the authors' seeds.

For each window of env steps in which the authors' returns are known, the mean over our seeds is
compared with the mean of theirs, and with the population standard deviation of theirs:

- ``inside``: the means differ by at most one deviation,
- ``above`` or ``below``: by more.

A window has a verdict only if every run was long enough to complete it and has an episode in it,
and if the settings are those of the protocol. The last window with a verdict gives the verdict of
the runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from rllib_dreamerv3.errors import CheckpointError, ConfigError
from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import TRAINING
from rllib_dreamerv3.reports.episode_curve import EpisodeCurve
from rllib_dreamerv3.reports.history import RESULTS_FILE
from rllib_dreamerv3.reports.protocols import (
    Differences,
    Protocol,
    differences,
    protocol_of_run,
)
from rllib_dreamerv3.reports.published import Window
from rllib_dreamerv3.reports.runs import find_runs

Verdict = Literal["inside", "above", "below"]


@dataclass(frozen=True)
class JudgedWindow:
    """Our seeds and the authors' in one window.

    Attributes:
        window: The authors' returns.
        ours: Mean return of each of our runs; None for a run without an episode in the window.
        verdict: The word for the mean over our runs; None without a verdict.
        reason: Why there is none; empty if there is one, or if no window of these runs has one.
    """

    window: Window
    ours: tuple[float | None, ...]
    verdict: Verdict | None
    reason: str

    @property
    def mean(self) -> float:
        """Mean over our runs with an episode in the window."""
        return fmean(value for value in self.ours if value is not None)

    @property
    def z(self) -> float | None:
        """Our mean, in deviations from theirs; None if the authors' seeds do not differ."""
        gap = self.mean - self.window.mean
        return gap / self.window.deviation if self.window.deviation else None

    @property
    def beaten(self) -> int | None:
        """Number of the authors' seeds below our mean; None if only their statistics are known."""
        returns = self.window.returns
        return sum(value < self.mean for value in returns) if returns else None


@dataclass(frozen=True)
class Judgement:
    """Runs with the same settings, beside the authors' seeds.

    Attributes:
        protocol: The protocol that they are compared with.
        settings: Variant, model size and training ratio of the runs.
        differences: How their settings differ from the protocol.
        curves: The runs, by seed.
        windows: The windows in which a run has episodes.
        unreached: The authors' later windows.
    """

    protocol: Protocol
    settings: str
    differences: Differences
    curves: tuple[EpisodeCurve, ...]
    windows: tuple[JudgedWindow, ...]
    unreached: tuple[Window, ...]

    @property
    def final(self) -> JudgedWindow | None:
        """The last window with a verdict."""
        return next((each for each in reversed(self.windows) if each.verdict), None)

    @property
    def sentence(self) -> str:
        """The verdict with what differs from the protocol, or why there is none."""
        forbidding, others = self.differences.forbidding, self.differences.others
        if self.final is None:
            return f"no verdict: {', '.join(forbidding) or self.windows[-1].reason}"
        said = f"{self.final.verdict} in {self.final.window}"
        if self.final.beaten is not None:
            said += f", above {self.final.beaten} of the authors' {self.final.window.seeds} seeds"
        return f"{said}; with {', '.join(others)}" if others else said


def load_curves(task: str, paths: Iterable[Path]) -> list[EpisodeCurve]:
    """Read runs of a task.

    Args:
        task: Name of the task.
        paths: CSV files of :class:`EpisodeCurve`, directories of such files, or directories of runs
            (trials, experiments, or several experiments). Runs of other tasks in a directory are
            left out.

    Returns:
        The runs, each once.

    Raises:
        CheckpointError: If a path does not exist, is a file of a run of another task, is damaged,
            or has no run of the task.
    """
    found: dict[Path, EpisodeCurve] = {}
    for path in paths:
        path = path.expanduser()
        if not path.exists():
            raise CheckpointError(f"There is no {path}.")
        curves = list(_curves_in(path))
        ours = [x for x in curves if protocol_of_run(task, x.env, x.options) is not None]
        if not ours:
            envs = sorted({curve.env for curve in curves})
            raise CheckpointError(f"{path} has no run of {task}, but of {', '.join(envs)}.")
        found.update((curve.path.resolve(), curve) for curve in ours)
    return list(found.values())


def judge(
    task: str, curves: Iterable[EpisodeCurve], prescribed: Mapping[str, Mapping[str, Any]]
) -> list[Judgement]:
    """Judge runs of a task, those with the same settings together.

    Args:
        task: Name of the task.
        curves: The runs.
        prescribed: Name of a tuned example -> its options, for each protocol of the task.

    Returns:
        A judgement for each setting.

    Raises:
        CheckpointError: If a run is of another task, ends before the first window does, or two runs
            of a setting have the same seed.
        ConfigError: If the options of a run are not valid; names the run.
    """
    groups: dict[tuple[Protocol, str, Differences], list[EpisodeCurve]] = {}
    for curve in curves:
        protocol = protocol_of_run(task, curve.env, curve.options)
        if protocol is None:
            raise CheckpointError(f"{curve.path} is a run of {curve.env}, not of {task}.")
        try:
            differ = differences(protocol, prescribed[protocol.benchmark.example], curve.options)
        except ConfigError as error:
            raise ConfigError(f"{curve.path}: {error}") from error
        differ = Differences(differ.forbidding, (*differ.others, *_forgotten(curve)))
        groups.setdefault((protocol, _settings(curve.options), differ), []).append(curve)
    return [_judgement(*group, members) for group, members in groups.items()]


def _judgement(
    protocol: Protocol, settings: str, differ: Differences, curves: list[EpisodeCurve]
) -> Judgement:
    curves.sort(key=lambda curve: curve.name)
    for one, other in pairwise(curves):
        if one.name == other.name and one.options.get("seed") is not None:
            raise CheckpointError(
                f"{one.path} and {other.path} are both {one.name} of the same settings: give one "
                "of them."
            )
    windows, unreached = [], []
    for window in protocol.scores.windows:
        ours = tuple(curve.mean_return(window.begin, window.end) for curve in curves)
        if all(value is None for value in ours):
            unreached.append(window)
            continue
        reason = "" if differ.forbidding else _incomplete(window, curves, ours)
        judged = JudgedWindow(window, ours, None, reason)
        if not differ.forbidding and not reason:
            judged = JudgedWindow(window, ours, _verdict(judged.mean, window), "")
        windows.append(judged)
    if not windows:
        first = protocol.scores.windows[0]
        raise CheckpointError(
            f"{', '.join(str(curve.path) for curve in curves)}: no episode ended in a window of "
            f"the authors' returns. The first one is {first} env steps; the last episode ended at "
            f"{max(curve.end for curve in curves):,.0f}."
        )
    return Judgement(protocol, settings, differ, tuple(curves), tuple(windows), tuple(unreached))


def labels(judgements: Sequence[Judgement]) -> list[str]:
    """Return the settings of each judgement, with what tells those of one task apart.

    Args:
        judgements: Those that are shown together.
    """
    alike: dict[tuple[str, str], list[frozenset[str]]] = {}
    for each in judgements:
        alike.setdefault((each.protocol.task, each.settings), []).append(frozenset(_all(each)))
    found = []
    for each in judgements:
        shared = frozenset.intersection(*alike[each.protocol.task, each.settings])
        own = (name for name in _all(each) if name not in shared)
        found.append(", ".join([each.settings, *(name.split(" instead of ")[0] for name in own)]))
    return found


def _all(judgement: Judgement) -> tuple[str, ...]:
    return (*judgement.differences.forbidding, *judgement.differences.others)


def _verdict(mean: float, window: Window) -> Verdict:
    if abs(mean - window.mean) <= window.deviation:
        return "inside"
    return "above" if mean > window.mean else "below"


def _incomplete(
    window: Window, curves: Sequence[EpisodeCurve], ours: Sequence[float | None]
) -> str:
    """Return why a window cannot be judged; empty if it can."""
    for curve, value in zip(curves, ours, strict=True):
        if not curve.completes(window.end):
            return f"{curve.name} ends at {curve.end:,.0f} env steps"
        if value is None:
            return f"{curve.name} has no episode in {window}"
    return ""


def _settings(options: Mapping[str, Any]) -> str:
    size = options.get("model_size") or "XS"
    ratio = options.get("training_ratio") or TRAINING["training_ratio"].v1
    return f"{variant_of(size, options.get('variant'))}, size {size}, training ratio {ratio:g}"


def _forgotten(curve: EpisodeCurve) -> Iterator[str]:
    """Yield that replay was smaller than the run; the authors' never was."""
    capacity = (curve.options.get("replay_buffer_config") or {}).get("capacity")
    if capacity is not None and capacity < curve.end:
        yield f"replay of {capacity:,} records"


def _curves_in(path: Path) -> Iterator[EpisodeCurve]:
    if path.is_file():
        yield EpisodeCurve.read(path)
    elif not (path / RESULTS_FILE).exists() and (files := sorted(path.glob("*.csv"))):
        yield from map(EpisodeCurve.read, files)
    else:
        for run in find_runs([path]):
            yield EpisodeCurve.of_history(
                run.directory, {**run.options, "env": run.env}, run.history
            )
