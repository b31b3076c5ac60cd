"""The charts of the report page, each with an explanation."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from html import escape
from itertools import pairwise

from rllib_dreamerv3.reports.curve import Points
from rllib_dreamerv3.reports.drawing import By, Line, as_svg, colours_of, draw_lines, return_lines
from rllib_dreamerv3.reports.history import ENV_STEPS, SECONDS
from rllib_dreamerv3.reports.losses import LOSSES, MEMORY, SPEED, Measure
from rllib_dreamerv3.reports.own_metrics import own_metrics
from rllib_dreamerv3.reports.published import Published, published
from rllib_dreamerv3.reports.runs import Run

_MEGABYTES = "MB"
# Limit on charts of the user's metrics.
_MAX_OWN = 60


def returns(runs: Sequence[Run]) -> str:
    """Draw returns per environment, by env steps and by time, with published scores."""
    parts = []
    for env in dict.fromkeys(run.env for run in runs):
        members = [run for run in runs if run.env == env]
        lines, scores = return_lines([run.curve for run in members]), _published(members)
        parts += [
            _figure(runs, lines, "steps", f"{env}, by env steps", "return", scores),
            _figure(runs, lines, "time", f"{env}, by time", "return"),
        ]
        parts += [
            f'<p class="faint">{escape(f"Grey, {each.label}: {each.source}")}</p>'
            for each in scores
        ]
    note = (
        "Means of the last training episodes; dashed: of evaluation. Runs that differ only in "
        "their seeds are one line: their mean, with a band from the lowest to the highest."
    )
    return f'<p class="faint">{note}</p>{"".join(parts)}'


def losses(runs: Sequence[Run]) -> str:
    """Draw the learner's losses."""
    made = [(each, _lines(runs, partial(_reported, measure=each))) for each in LOSSES]
    return _charts(runs, made, "steps", all_sizes=True)


def own(runs: Sequence[Run]) -> str:
    """Draw the metrics of users' callbacks and numbers of ``info``; empty if there are none."""
    measures = {each.key: each for run in runs for each in own_metrics(run.history)}
    if not measures:
        return ""
    shown = list(measures.values())[:_MAX_OWN]
    left = len(measures) - len(shown)
    rest = f'<p class="faint">{left} more in progress.csv.</p>' if left else ""
    lines = [(each, _lines(runs, partial(_reported, measure=each))) for each in shown]
    return _charts(runs, lines, "steps") + rest


def speed_and_memory(runs: Sequence[Run]) -> str:
    """Draw speed, memory and CPU use of the runs."""
    made = [(each, _lines(runs, partial(_rate, name=each.key))) for each in SPEED]
    made += [(each, _lines(runs, partial(_reported, measure=each))) for each in MEMORY]
    return _charts(runs, made, "time")


def _charts(
    runs: Sequence[Run],
    measures: Iterable[tuple[Measure, list[Line]]],
    by: By,
    all_sizes: bool = False,
) -> str:
    charts = []
    for measure, lines in measures:
        if lines:
            caption = f"{escape(measure.sentence)}<br><code>{escape(measure.key)}</code>"
            charts.append(
                _figure(
                    *(runs, lines, by, measure.title, measure.unit),
                    caption=caption,
                    all_sizes=all_sizes,
                )
            )
    if not charts:
        return "<p>Nothing reported.</p>"
    return f'{_legend(runs)}<div class="charts">{"".join(charts)}</div>'


def _figure(
    runs: Sequence[Run],
    lines: Sequence[Line],
    by: By,
    title: str,
    unit: str,
    scores: Sequence[Published] = (),
    caption: str = "",
    all_sizes: bool = False,
) -> str:
    """Draw a picture as HTML; with a caption (HTML) it is one of many small ones."""
    figure = draw_lines(
        lines, _colours(runs), by, title, unit, scores, small=bool(caption), all_sizes=all_sizes
    )
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{as_svg(figure, escape(title, quote=True))}{below}</figure>"


def _legend(runs: Sequence[Run]) -> str:
    entries = (
        f'<span><i style="background:{colour}"></i>{escape(group)}</span>'
        for group, colour in _colours(runs).items()
    )
    return f'<p class="legend">{"".join(entries)}</p>'


def _colours(runs: Sequence[Run]) -> dict[str, str]:
    return colours_of(run.group for run in runs)


def _lines(runs: Iterable[Run], points: Callable[[Run], Points]) -> list[Line]:
    """Return a line for each group with reported values."""
    groups: dict[str, list[Points]] = {}
    for run in runs:
        if found := points(run):
            groups.setdefault(run.group, []).append(found)
    return [Line(group, members) for group, members in groups.items()]


def _reported(run: Run, measure: Measure) -> Points:
    found = Points.of(run.history, measure.key)
    if measure.unit == _MEGABYTES:
        found.values = [value / 1e6 for value in found.values]
    return found


def _rate(run: Run, name: str) -> Points:
    """Return the growth per second between consecutive results."""
    found = Points()
    rows = run.history.rows(ENV_STEPS, SECONDS, name)
    for (_, before, start), (steps, now, end) in pairwise(rows):
        if now > before:
            found.add(steps, now, (end - start) / (now - before))
    return found


def _published(runs: Iterable[Run]) -> list[Published]:
    found = {published(run.env, run.options): None for run in runs}
    return [each for each in found if each is not None]
