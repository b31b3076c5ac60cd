"""Writes `RESULTS.md` and its pictures from the curves in `benchmarks/results`.

    python docs/write_results.py

Every directory there with curves (`NAME.csv` with `NAME.json`) is judged as by `rllib reproduce`. A
test fails if the page is stale.
"""

import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from rllib_cli.commands.reproduce import prescribed_options
from rllib_dreamerv3.reports.drawing import write_png
from rllib_dreamerv3.reports.episode_curve import EpisodeCurve
from rllib_dreamerv3.reports.history import ENV_STEPS
from rllib_dreamerv3.reports.judgement import JudgedWindow, Judgement, judge, labels
from rllib_dreamerv3.reports.judgement_picture import draw_judgements
from rllib_dreamerv3.reports.protocols import protocols_of, task_of_run

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "RESULTS.md"
CURVES = ROOT / "benchmarks" / "results"
_PICTURES = ROOT / "docs"

_INTRODUCTION = """\
# Published tasks, judged by the authors' own seeds

Every run of a published task whose curve is kept in `benchmarks/results`, beside the returns of
each of the authors' seeds in the same window of env steps (decisions: actions, without repeats).
Returns are those of training episodes, averaged over the window. `python docs/write_results.py`
writes this page from the curves.

- **inside**: the mean of our seeds differs from the mean of the authors' seeds by at most their
  standard deviation. **above**, **below**: by more. With few seeds this is a coarse test, and early
  in training the authors' own seeds differ much.
- Only like with like is judged: runs of the same version, model size (S, or XS of v1, which is then
  said), training ratio and environment. Runs with other settings are shown with **no verdict** and
  what differs.

[How runs are judged](docs/results.md#comparing-with-published-results)
"""

_NAMES = {
    "dmc_proprio": "DeepMind Control from positions and velocities",
    "dmc_vision_2023": "DeepMind Control from images, 2023",
    "dmc_vision_2025": "DeepMind Control from images, 2024",
    "atari100k_2023": "Atari-100k, 2023",
    "atari100k_2025": "Atari-100k, 2024",
}


def judgements() -> list[Judgement]:
    """Judge all kept curves, by benchmark and task; settings in the order of their directories."""
    found = []
    for directory in sorted({path.parent for path in CURVES.glob("*/*.csv")}):
        paths = sorted(path for path in directory.glob("*.csv"))
        tasks: dict[str, list[EpisodeCurve]] = {}
        for curve in map(EpisodeCurve.read, paths):
            if task := task_of_run(curve.env, curve.options):
                tasks.setdefault(task, []).append(curve)
        for task, curves in tasks.items():
            examples = {
                each.benchmark.example: prescribed_options(each) for each in protocols_of(task)
            }
            found += judge(task, curves, examples)
    names = list(_NAMES)
    return sorted(
        found, key=lambda each: (names.index(each.protocol.benchmark.file), each.protocol.task)
    )


def results_page(found: Iterable[Judgement]) -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for name, members in _groups(found).items():
        labelled = list(zip(members, labels(members), strict=True))
        parts.append(f"\n## {_NAMES[name]}\n\n{_summary(members)}\n\n")
        parts.append(
            "| task | setting | env steps | our seeds | authors' mean | authors' seeds | verdict |"
            "\n| --- | --- | --- | --- | --- | --- | --- |\n"
        )
        for judgement, label in labelled:
            parts += _rows(judgement, label)
        parts.append(
            f"\nThin grey lines: the authors' seeds.\n\n"
            f"![Returns of our runs over those of the authors' seeds](docs/{_picture(name)})\n"
        )
        parts.append(
            "\nAll settings, with the commands that judge the curves again, and train one of the "
            "seeds again:\n"
        )
        for judgement, label in labelled:
            parts.append(f"\n{_settings(judgement, label)}\n\n")
            parts += [f"    {command}\n" for command in _commands(judgement)]
    return "".join(parts)


def write_pictures(found: Iterable[Judgement]) -> None:
    """Write the picture of each benchmark."""
    for name, members in _groups(found).items():
        write_png(draw_judgements(members), _PICTURES / _picture(name))


def _groups(found: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    groups: dict[str, list[Judgement]] = {}
    for each in found:
        groups.setdefault(each.protocol.benchmark.file, []).append(each)
    return groups


def _picture(name: str) -> str:
    return f"reproduced_{name}.png"


def _summary(members: Iterable[Judgement]) -> str:
    words = [each.final.verdict if each.final else "no verdict" for each in members]
    counts = ", ".join(
        f"{words.count(word)} {word}" for word in ("inside", "above", "below", "no verdict")
    )
    return f"Tasks and settings by their verdict in the last window: {counts}."


def _rows(judgement: Judgement, label: str) -> Iterator[str]:
    """Yield a row for each window; the last one has the verdict with all that belongs to it."""
    first = f"{judgement.protocol.task} | {label} ({_links(judgement)})"
    for each in judgement.windows:
        theirs = each.window
        cells = [
            first,
            str(theirs),
            " ".join("-" if value is None else f"{value:.4g}" for value in each.ours),
            f"{theirs.mean:.4g} +- {theirs.deviation:.3g}",
            " ".join(f"{value:.4g}" for value in sorted(theirs.returns)) or f"{theirs.seeds} seeds",
            _verdict(judgement, each),
        ]
        yield f"| {' | '.join(cells)} |\n"
        first = " | "


def _verdict(judgement: Judgement, each: JudgedWindow) -> str:
    if each is judgement.final or (judgement.final is None and each is judgement.windows[-1]):
        return f"**{judgement.sentence}**" if judgement.final else judgement.sentence
    return each.verdict or (f"no verdict: {each.reason}" if each.reason else "no verdict")


def _settings(judgement: Judgement, label: str) -> str:
    """Return a sentence with all that differs from the protocol."""
    differ = [*judgement.differences.forbidding, *judgement.differences.others]
    said = f"**{judgement.protocol.task}, {label}.**"
    example = f"`tuned_examples/{judgement.protocol.benchmark.example}.yaml`"
    if not differ:
        return f"{said} As {example}."
    return f"{said} As {example}, but: {', '.join(differ)}."


def _links(judgement: Judgement) -> str:
    return ", ".join(
        f"[{curve.name}]({curve.path.relative_to(ROOT).as_posix()})" for curve in judgement.curves
    )


def _commands(judgement: Judgement) -> Iterator[str]:
    curve = judgement.curves[0]
    directory = curve.path.parent.relative_to(ROOT).as_posix()
    yield f"rllib reproduce {judgement.protocol.task} --runs {directory}"
    config = {name: value for name, value in curve.options.items() if name != "env"}
    stop = {ENV_STEPS: int(judgement.windows[-1].window.end)}
    words = ["rllib", "train", "--algo", "DreamerV3", "--env", curve.env]
    words += ["--config", json.dumps(config), "--stop", json.dumps(stop)]
    yield shlex.join(words)


if __name__ == "__main__":
    FOUND = judgements()
    write_pictures(FOUND)
    PAGE.write_text(results_page(FOUND), encoding="utf-8")
