"""Draws curves. Matplotlib is imported with the first picture, and never through pyplot."""

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rllib_dreamerv3.reports.curve import Curve, Points
from rllib_dreamerv3.reports.picture_files import replacing_file
from rllib_dreamerv3.reports.published import Published

if TYPE_CHECKING:
    from matplotlib.figure import Figure

By = Literal["steps", "time"]

# Limit on points of a line: more than there are pixels only increase the file size.
_MAX_POINTS = 400
_INCHES, _SMALL_INCHES = (6.4, 3.4), (4.2, 2.3)
# Values so many times the median flatten the others on a linear axis.
_FLATTENING = 8
GREY = "#888888"
# Distinguishable with colour blindness, on white and on black (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
# Placeholder for the colour of the surrounding text, which is unknown while drawing.
_TEXT = "#010203"


@dataclass(frozen=True)
class Line:
    """Runs that are drawn as one line: their mean, with a band from minimum to maximum.

    Attributes:
        group: Name of the runs; lines of one group have one colour.
        runs: Points of each run.
        what: Name of the value in the legend, if any.
        dashed: Whether the line is dashed, as for evaluation.
    """

    group: str
    runs: Sequence[Points]
    what: str = ""
    dashed: bool = False

    @property
    def label(self) -> str:
        """Text of the legend."""
        name = ", ".join(filter(None, [self.group, self.what]))
        return f"{name} (mean of {len(self.runs)})" if len(self.runs) > 1 else name


def return_lines(curves: Iterable[Curve]) -> list[Line]:
    """Return a line of training and one of evaluation for each group, if it has values."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.group, []).append(curve)
    lines = []
    for group, members in groups.items():
        training = [curve.training for curve in members if curve.training]
        evaluation = [curve.evaluation for curve in members if curve.evaluation]
        lines += [Line(group, training, "training")] if training else []
        lines += [Line(group, evaluation, "evaluation", dashed=True)] if evaluation else []
    return lines


def colours_of(groups: Iterable[str]) -> dict[str, str]:
    """Assign a colour to each group, in order."""
    names = dict.fromkeys(groups)
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}


def draw_returns(curves: Sequence[Curve], by: By = "steps") -> "Figure":
    """Draw returns, with a panel for each environment.

    Args:
        curves: Curves of all runs.
        by: x-axis: env steps, or time since the run began.

    Returns:
        The picture, for :func:`write_png` or :func:`as_svg`.
    """
    envs = list(dict.fromkeys(curve.env for curve in curves)) or [""]
    figure = new_figure(_INCHES[0], len(envs) * _INCHES[1])
    colours = colours_of(curve.group for curve in curves)
    for axes, env in zip(figure.subplots(len(envs), 1, squeeze=False)[:, 0], envs, strict=True):
        lines = return_lines(curve for curve in curves if curve.env == env)
        draw_panel(axes, lines, colours, by, env, "return")
    return figure


def draw_lines(
    lines: Sequence[Line],
    colours: Mapping[str, str],
    by: By,
    title: str,
    unit: str = "",
    published: Iterable[Published] = (),
    small: bool = False,
    all_sizes: bool = False,
) -> "Figure":
    """Draw lines in one panel.

    Args:
        lines: The lines.
        colours: Colour of each group.
        by: x-axis: env steps, or time since the run began.
        title: Title of the panel.
        unit: Label of the y-axis.
        published: Scores to compare with, drawn if the x-axis is env steps.
        small: Whether it is one of many, without a legend.
        all_sizes: Whether large and small values are shown alike, on a logarithmic axis.

    Returns:
        The picture.
    """
    figure = new_figure(*(_SMALL_INCHES if small else _INCHES))
    axes = figure.subplots()
    draw_panel(axes, lines, colours, by, title, unit, legend=not small)
    if all_sizes:
        _show_all_sizes(axes, lines)
    if by == "steps":
        for number, scores in enumerate(published):
            _draw_published(axes, scores, number)
    return figure


def write_png(figure: "Figure", path: Path) -> None:
    """Write a picture atomically."""
    with replacing_file(path) as written:
        figure.savefig(written, format="png", dpi=110)


def as_svg(figure: "Figure", description: str) -> str:
    """Render a picture as an HTML element, in the colour of the surrounding text.

    Args:
        figure: The picture.
        description: Alternative text; must be escaped.

    Returns:
        ``<svg ...>`` without external references.
    """
    import matplotlib
    from matplotlib.text import Text

    figure.set_facecolor("none")
    for axes in figure.axes:
        axes.set_facecolor("none")
        for spine in axes.spines.values():
            spine.set_edgecolor(_TEXT)
        axes.tick_params(colors=_TEXT)
    for text in figure.findobj(Text):
        text.set_color(_TEXT)
    buffer = io.StringIO()
    # The salt makes the ids of elements differ between pictures.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": description}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_TEXT, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The page sets the width.
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)


def new_figure(width: float, height: float) -> "Figure":
    """Create an empty picture; sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_panel(
    axes: Any,
    lines: Sequence[Line],
    colours: Mapping[str, str],
    by: By,
    title: str,
    unit: str,
    legend: bool = True,
) -> None:
    """Draw lines into axes; the arguments are those of :func:`draw_lines`."""
    scale, x_label = _x_axis(lines, by)
    for line in lines:
        _draw_line(axes, line, by, scale, colours[line.group])
    axes.set_xlabel(x_label)
    axes.set_ylabel(unit)
    # Escape dollar signs, which would begin a formula.
    axes.set_title(_plain(title), loc="left", fontsize="medium")
    axes.grid(color=GREY, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if by == "steps":
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.xaxis.get_major_locator().set_params(nbins=6 if legend else 4)
    axes.set_xlim(left=0)
    if not lines:
        axes.text(0.5, 0.5, "nothing reported yet", ha="center", transform=axes.transAxes)
    elif legend:
        axes.legend(frameon=False, fontsize="small")


def _draw_line(axes: Any, line: Line, by: By, scale: float, colour: str) -> None:
    style: dict[str, Any] = {"color": colour, "linestyle": "--" if line.dashed else "-"}
    runs = [_thinned(_x(points, by) / scale, np.array(points.values)) for points in line.runs]
    label = _plain(line.label)
    if len(runs) == 1:
        marker = "o" if line.dashed or len(runs[0][0]) == 1 else ""
        axes.plot(*runs[0], **style, label=label, linewidth=1.5, marker=marker, markersize=3)
        return
    for x, y in runs:
        axes.plot(x, y, **style, linewidth=0.6, alpha=0.4)
    x = np.linspace(max(x[0] for x, _ in runs), min(x[-1] for x, _ in runs), _MAX_POINTS)
    if x[0] > x[-1]:
        # The runs do not overlap on the x-axis.
        axes.plot([], [], **style, label=label)
        return
    each = np.array([np.interp(x, *run) for run in runs])
    axes.fill_between(x, each.min(0), each.max(0), color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, each.mean(0), **style, label=label, linewidth=1.5)


def _show_all_sizes(axes: Any, lines: Sequence[Line]) -> None:
    """Make the y-axis logarithmic if the largest values would flatten the usual ones."""
    values = np.array([value for line in lines for points in line.runs for value in points.values])
    sizes = np.abs(values[values != 0])
    if not len(sizes) or sizes.max() < _FLATTENING * (usual := float(np.median(sizes))):
        return
    if (values > 0).all():
        axes.set_yscale("log")
    else:
        axes.set_yscale("symlog", linthresh=usual)


def _draw_published(axes: Any, scores: Published, number: int) -> None:
    style = {"color": GREY, "linestyle": (":", "-.")[number % 2], "linewidth": 1.2}
    left, right = axes.get_xlim()
    end = max(right, axes.dataLim.x1)
    steps = np.array(scores.steps)
    if len(steps) == 1 or steps[0] > end:
        # A single score, or one beyond the end of this run: draw a horizontal line.
        last = scores.windows[-1]
        label = f"{scores.label}: {last.mean:.4g} at {last.end:,.0f} env steps"
        axes.axhline(last.mean, **style, label=label)
    else:
        mean = np.array([window.mean for window in scores.windows])
        deviation = np.array([window.deviation for window in scores.windows])
        axes.plot(steps, mean, **style, label=f"{scores.label} (±: {scores.seeds} seeds)")
        axes.fill_between(
            steps, mean - deviation, mean + deviation, color=GREY, alpha=0.12, linewidth=0
        )
    axes.set_xlim(left, right)
    axes.legend(frameon=False, fontsize="small")


def _x(points: Points, by: By) -> np.ndarray:
    return np.array(points.steps if by == "steps" else points.seconds)


def _x_axis(lines: Sequence[Line], by: By) -> tuple[float, str]:
    """Return the divisor of x values, and the label of the axis."""
    if by == "steps":
        return 1.0, "env steps"
    longest = max((points.seconds[-1] for line in lines for points in line.runs), default=0.0)
    for unit, seconds in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if longest >= 2 * seconds:
            return seconds, unit
    return 1.0, "seconds"


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbouring points if there are too many; keep the first and last x."""
    if len(x) <= _MAX_POINTS:
        return x, y
    size = math.ceil(len(x) / _MAX_POINTS)
    starts = np.arange(0, len(x), size)
    sizes = np.diff([*starts, len(x)])
    thin_x, thin_y = (np.add.reduceat(values, starts) / sizes for values in (x, y))
    thin_x[0], thin_x[-1] = x[0], x[-1]
    return thin_x, thin_y


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
