"""Draws the measurements of scaling.py: times of updates, and of several processes.

Drawing needs matplotlib.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
# Of matplotlib.
Axes = Any

SAMPLING, LEARNERS, SYNCHRONISATION = "sampling", "learners", "synchronisation"
MEGABYTE = 1e6
COLOURS = ("tab:blue", "tab:orange")


def kind(series: str) -> str:
    """What a series is about: its name up to the colon, if it has one."""
    return series.partition(":")[0]


def plot_updates(rows: list[Row], path: Path) -> None:
    """Draw one panel for each series: seconds, and the floor of the dense products."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["series"] for row in rows))
    figure = Figure(figsize=(12, 4 * math.ceil(len(names) / 3)), layout="constrained")
    grid = figure.subplots(math.ceil(len(names) / 3), 3, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        series = [row for row in rows if row["series"] == name]
        numeric = all(isinstance(row["x"], int) for row in series)
        xs = [row["x"] if numeric else row["dense_gflop"] for row in series]
        axes.loglog(xs, [row["median_s"] for row in series], "o-", label="update")
        if all("dense_gflop" in row for row in series):
            floors = [row["median_s"] / row["multiple_of_dense_floor"] for row in series]
            axes.loglog(xs, floors, "--", label="dense products alone")
        axes.set(title=name, xlabel=name if numeric else "GFLOP of an update", ylabel="seconds")
        if numeric:
            _ticks_at(axes, xs)
        else:
            for x, row in zip(xs, series, strict=True):
                axes.annotate(row["x"], (x, row["median_s"]), fontsize=7, ha="right")
        # At least a decade, so that what stays the same looks like it.
        low, high = axes.get_ylim()
        middle = math.sqrt(low * high)
        axes.set_ylim(min(low, middle / math.sqrt(10)), max(high, middle * math.sqrt(10)))
        axes.grid(visible=True, which="both", alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(path, dpi=110)


def plot_processes(rows: list[Row], path: Path) -> None:
    """Draw env runners by what an env step takes, learners, and what travels between them."""
    from matplotlib.figure import Figure

    sampling = [row for row in rows if kind(row["series"]) == SAMPLING]
    steps = sorted({row["step_s"] for row in sampling})
    panels = [(_sampling, [row for row in sampling if row["step_s"] == step]) for step in steps]
    for draw, name in (
        (_learners, LEARNERS),
        (_synchronisation, SYNCHRONISATION),
        (_bytes, SYNCHRONISATION),
    ):
        found = [row for row in rows if kind(row["series"]) == name]
        if found:
            panels.append((draw, found))
    lines = math.ceil(len(panels) / 3)
    figure = Figure(figsize=(12, 4 * lines), layout="constrained")
    grid = figure.subplots(lines, 3, squeeze=False)
    for axes, (draw, found) in zip(grid.flat, panels, strict=False):
        draw(axes, found)
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend(fontsize=8)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


def _sampling(axes: Axes, rows: list[Row]) -> None:
    """Env steps a second against env runners, all of one cost of an env step."""
    step_s = rows[0]["step_s"]
    for colour, (name, line) in zip(COLOURS, _lines(rows, "sampling", "env_runners"), strict=False):
        xs = [row["env_runners"] for row in line]
        ys = [row["env_steps_per_s"] for row in line]
        axes.plot(xs, ys, "o-", color=colour, label=name)
    xs = sorted({row["env_runners"] for row in rows})
    if step_s:
        axes.plot(xs, [x / step_s for x in xs], "--", color="gray", label="environments alone")
    title = f"an env step of {1000 * step_s:g} ms, beside updates"
    axes.set(title=title, xlabel="env runners", ylabel="env steps per second")
    axes.set_ylim(bottom=0)
    _ticks_at(axes, xs)


def _learners(axes: Axes, rows: list[Row]) -> None:
    """Seconds of an update against learners, and half of what one takes in its own process."""
    for colour, (name, line) in zip(
        COLOURS, _lines(rows, "workload", "num_learners"), strict=False
    ):
        xs = [row["num_learners"] for row in line]
        axes.plot(xs, [row["median_s"] for row in line], "o-", color=colour, label=name)
        one = [row["median_s"] for row in line if row["num_learners"] == 1]
        if one:
            half = [one[0], one[0] / 2]
            axes.plot([1, 2], half, ":", color=colour, label=f"{name}, twice as fast")
    title, axis = "an update, one thread each", "num_learners"
    axes.set(title=title, xlabel=axis, ylabel="seconds", xticks=[0, 1, 2])
    axes.set_ylim(bottom=0)


def _synchronisation(axes: Axes, rows: list[Row]) -> None:
    """Seconds until all env runners have new weights, against their size."""
    lines = _lines(rows, "num_learners", "weights_bytes")
    for colour, (learners, line) in zip(COLOURS, lines, strict=False):
        xs = [row["weights_bytes"] / MEGABYTE for row in line]
        label = "learner's own process" if learners else "learner in the main process"
        axes.loglog(xs, [row["median_s"] for row in line], "o-", color=colour, label=label)
    env_runners = rows[0]["env_runners"]
    title = f"new weights for {env_runners} env runners"
    axes.set(title=title, xlabel="MB of weights that act", ylabel="seconds")


def _bytes(axes: Axes, rows: list[Row]) -> None:
    """Megabytes that travel against all parameters, in millions."""
    (_, line), *_ = _lines(rows, "num_learners", "parameters")
    xs = [row["parameters"] / 1e6 for row in line]
    for colour, (key, label) in zip(
        COLOURS,
        (
            ("weights_bytes", "weights to env runners"),
            ("gradient_bytes", "gradients between two learners"),
        ),
        strict=True,
    ):
        axes.loglog(xs, [row[key] / MEGABYTE for row in line], "o-", color=colour, label=label)
    axes.set(title="what travels", xlabel="million parameters", ylabel="MB")


def _lines(rows: list[Row], key: str, x: str) -> Iterable[tuple[Any, list[Row]]]:
    """Rows by what they have under a key, in the order of another."""
    for value in dict.fromkeys(row[key] for row in rows):
        yield value, sorted((row for row in rows if row[key] == value), key=lambda row: row[x])


def _ticks_at(axes: Axes, xs: list[int]) -> None:
    axes.set_xticks(xs, xs)
    axes.set_xticks([], minor=True)
