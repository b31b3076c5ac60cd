"""The report page of runs: a single HTML file without external references."""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from rllib_dreamerv3.reports import charts
from rllib_dreamerv3.reports.embedding import embedded
from rllib_dreamerv3.reports.findings import nothing_found
from rllib_dreamerv3.reports.history import ENV_STEPS, SECONDS, UPDATES
from rllib_dreamerv3.reports.runs import Run
from rllib_dreamerv3.reports.trial_findings import trial_findings


def build_page(runs: Sequence[Run]) -> str:
    """Build the page.

    Args:
        runs: The runs, at least one.

    Returns:
        HTML with embedded pictures and videos, which loads and executes nothing. Names are escaped.
    """
    sections = [
        ("Runs", _summary(runs)),
        ("Findings", "".join(_findings(run) for run in runs)),
        ("Returns", charts.returns(runs)),
        *([("Own metrics", own)] if (own := charts.own(runs)) else []),
        ("Losses", charts.losses(runs)),
        ("Dreams", _dreams(runs)),
        ("Speed and memory", charts.speed_and_memory(runs)),
        ("Options", "".join(_options(run, first=run is runs[0]) for run in runs)),
    ]
    names = list(dict.fromkeys(run.directory.parent.name for run in runs))
    template = Template(
        (files("rllib_dreamerv3.reports") / "page.html").read_text(encoding="utf-8")
    )
    written = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return template.substitute(
        title=escape(", ".join(names)),
        subtitle=escape(f"{len(runs)} {'runs' if len(runs) > 1 else 'run'}, {written}"),
        contents="\n".join(
            f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title, _ in sections
        ),
        sections="\n".join(
            f'<section id="{_anchor(title)}"><h2>{escape(title)}</h2>\n{content}\n</section>'
            for title, content in sections
        ),
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _summary(runs: Iterable[Run]) -> str:
    numbers = ("env steps", "updates", "time", "return", "best", "evaluation")
    head = "".join(f'<th class="number">{name}</th>' for name in numbers)
    rows = []
    for run in runs:
        training, evaluation = run.curve.training.values, run.curve.evaluation.values
        cells = (
            f"{run.history.latest(ENV_STEPS, 0.0):,.0f}",
            f"{run.history.latest(UPDATES, 0.0):,.0f}",
            str(datetime.timedelta(seconds=round(run.history.latest(SECONDS, 0.0)))),
            f"{training[-1]:.4g}" if training else "-",
            f"{max(training):.4g}" if training else "-",
            f"{evaluation[-1]:.4g}" if evaluation else "-",
        )
        numbers_of_run = "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
        rows.append(
            f"<tr><td>{escape(run.title)}<br>"
            f'<span class="faint">{escape(run.env)}</span></td>{numbers_of_run}</tr>'
        )
    return (
        f'<div class="wide"><table class="runs"><tr><th>run</th>{head}</tr>{"".join(rows)}</table>'
        "</div><p class='faint'>return: mean of the last training episodes; best: the highest of "
        "these means.</p>"
    )


def _findings(run: Run) -> str:
    found = "".join(
        f'<div class="finding"><strong>{escape(finding.name)}</strong>'
        f"<p>{escape(finding.evidence)}</p><p>{escape(finding.change)}</p></div>"
        for finding in trial_findings(run.directory, run.history)
    )
    updates = run.history.latest(UPDATES, 0.0)
    return f"<h3>{escape(run.title)}</h3>{found or f'<p>{nothing_found(updates)}</p>'}"


def _dreams(runs: Iterable[Run]) -> str:
    parts = []
    for run in runs:
        # Show the first and the newest of each kind, for comparison.
        shown = [path for kind in run.dreams for path in dict.fromkeys([*kind[:1], *kind[-1:]])]
        if shown:
            left = sum(map(len, run.dreams)) - len(shown)
            rest = f'<p class="faint">{left} more in the run\'s folder.</p>' if left else ""
            pictures = "".join(embedded(path, run.directory) for path in shown)
            parts.append(f"<h3>{escape(run.title)}</h3>{pictures}{rest}")
    none = "<p>None; enable them with <code>report_images_and_videos: true</code>.</p>"
    return "".join(parts) or none


def _options(run: Run, first: bool) -> str:
    changed = run.changed
    others = {name: x for name, x in run.options.items() if name not in changed}
    versions = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    return (
        f"<details{' open' if first else ''}>"
        f"<summary><strong>{escape(run.title)}</strong></summary>"
        f'<p class="faint">{escape(str(run.directory))}<br>{escape(versions)}</p>'
        f"<h3>Changed</h3>{_table(changed)}"
        f"<details><summary>All others: {len(others)}</summary>{_table(others)}</details></details>"
    )


def _table(options: Mapping[str, Any]) -> str:
    rows = "".join(_rows(options))
    return f'<table class="options">{rows}</table>' if rows else "<p>None.</p>"


def _rows(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        text = json.dumps(value, default=repr, ensure_ascii=False)
        yield (
            f"<tr><td><code>{escape(str(name))}</code></td><td><code>{escape(text)}</code></td></tr>"
        )
