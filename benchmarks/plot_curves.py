"""Draws the learning curves in benchmarks/results.

    python benchmarks/plot_curves.py --out docs/learning.png

CartPole and Pendulum by env steps, a line for each run with the settings of the tuned example (seed
0 was run several times); and a run of CartPole by minutes, at the same time as RLlib's own. Dotted:
the goal that results/README.md names.
"""

import argparse
import json
import math
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).with_name("results")
WHOLE_RUN = RESULTS / "end_to_end_cartpole.json"

# How the files of runs with the same settings are called, behind the example's name.
RUNS = ("", "_again", "_two_threads", "_restructured")
BLUE, ORANGE, GREY = "tab:blue", "tab:orange", "tab:gray"


class Curve(NamedTuple):
    """A learning curve.

    Attributes:
        label: What the legend calls it.
        colour: Of its line.
        x: Env steps, or minutes.
        returns: Mean return of the last episodes at each x.
    """

    label: str
    colour: str
    x: list[float]
    returns: list[float]


class Panel(NamedTuple):
    """Curves of one environment, and the return that is called learned."""

    title: str
    axis: str
    goal: float
    curves: list[Curve]


def by_env_steps(name: str, label: str, colour: str) -> list[Curve]:
    """All runs of a tuned example, each from its first episode's end on."""
    curves = []
    for path in (x for run in RUNS for x in sorted(RESULTS.glob(f"{name}{run}_seed[0-9].jsonl"))):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows = [row for row in rows if not math.isnan(row["return"])]
        steps, returns = ([row[key] for row in rows] for key in ("env_steps", "return"))
        curves.append(Curve(label, colour, steps, returns))
    return curves


def by_minutes() -> list[Curve]:
    """The two sides of end_to_end.py by minutes since the algorithm was built."""
    result = json.loads(WHOLE_RUN.read_text())
    sides = (("own", "this package", BLUE), ("peer", "RLlib's own", GREY))
    return [
        Curve(label, colour, [s / 60 for s, _, _ in points], [x for _, _, x in points])
        for key, label, colour in sides
        for points in [result[key]["curve"]]
    ]


def panels() -> list[Panel]:
    """All that is drawn."""
    return [
        Panel(
            "CartPole-v1",
            "env steps",
            400.0,
            [
                *by_env_steps("cartpole", "v1 with v2's continues", BLUE),
                *by_env_steps("cartpole_v2", "v2", ORANGE),
            ],
        ),
        Panel(
            "Pendulum-v1",
            "env steps",
            -250.0,
            [*by_env_steps("pendulum", "v1", BLUE), *by_env_steps("pendulum_v2", "v2", ORANGE)],
        ),
        Panel("CartPole-v1 by the clock, a core each", "minutes", 400.0, by_minutes()),
    ]


def plot(panels: list[Panel], path: Path) -> None:
    """Draw the panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        labels: set[str] = set()
        for curve in panel.curves:
            label = None if curve.label in labels else curve.label
            labels.add(curve.label)
            axes.plot(curve.x, curve.returns, color=curve.colour, label=label, linewidth=1.2)
        axes.axhline(panel.goal, color="black", linestyle=":", linewidth=1)
        axes.set(title=panel.title, xlabel=panel.axis, ylabel="return")
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="PNG file to draw")
    plot(panels(), parser.parse_args().out)


if __name__ == "__main__":
    main()
