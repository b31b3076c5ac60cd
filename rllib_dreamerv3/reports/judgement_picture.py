"""Draws judged runs over the returns of the authors' seeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rllib_dreamerv3.reports.curve import Points
from rllib_dreamerv3.reports.drawing import GREY, Line, colours_of, draw_panel, new_figure
from rllib_dreamerv3.reports.episode_curve import EpisodeCurve
from rllib_dreamerv3.reports.judgement import Judgement, labels
from rllib_dreamerv3.reports.published import Published

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INCHES = (6.4, 3.4)
_COLUMNS = 2


def draw_judgements(judgements: Sequence[Judgement]) -> "Figure":
    """Draw a panel for each task: a thin grey line for each of the authors' seeds, ours on top.

    Args:
        judgements: At least one; those of one task share a panel, and have a colour per setting.

    Returns:
        The picture, for :func:`~rllib_dreamerv3.reports.drawing.write_png`.
    """
    tasks = list(dict.fromkeys(each.protocol.task for each in judgements))
    columns = min(_COLUMNS, len(tasks))
    lines = -(-len(tasks) // columns)
    figure = new_figure(columns * _INCHES[0], lines * _INCHES[1])
    panels = figure.subplots(lines, columns, squeeze=False).flat
    labelled = list(zip(judgements, labels(judgements), strict=True))
    colours = colours_of(label for _, label in labelled)
    for axes in panels:
        axes.set_visible(False)
    for axes, task in zip(figure.axes, tasks, strict=False):
        axes.set_visible(True)
        ours = [(each, label) for each, label in labelled if each.protocol.task == task]
        drawn = [Line(label, list(map(_points, each.curves))) for each, label in ours]
        draw_panel(axes, drawn, colours, "steps", task, "return")
        _draw_authors(axes, ours[0][0].protocol.scores)
    return figure


def _points(curve: EpisodeCurve) -> Points:
    columns = [[row[name] for row in curve.rows] for name in ("env_steps", "seconds", "return")]
    return Points(*columns)


def _draw_authors(axes: Any, scores: Published) -> None:
    """Draw the seeds below our lines, up to our end and a little further."""
    left, right = axes.get_xlim()
    style: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "alpha": 0.7, "zorder": 1}
    further = sum(window.begin < right for window in scores.windows) + 1
    middles = list(zip(scores.steps, scores.windows, strict=True))[:further]
    # Which seeds lack an episode in a window is not known, so only whole windows make lines.
    whole = [(x, window) for x, window in middles if len(window.returns) == scores.seeds]
    lines = np.array([window.returns for _, window in whole]).T
    for number, values in enumerate(lines):
        label = f"each of the authors' {scores.seeds} seeds" if number == 0 else None
        axes.plot([x for x, _ in whole], values, **style, marker=".", markersize=3, label=label)
    for x, window in middles:
        if len(window.returns) != scores.seeds:
            axes.plot([x] * len(window.returns), window.returns, ".", color=GREY, markersize=3)
    axes.set_xlim(left, right)
    axes.legend(frameon=False, fontsize="small")
