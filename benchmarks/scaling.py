"""How the time of an update grows with the work: one number changed at a time.

    python benchmarks/scaling.py --out benchmarks/results/scaling.jsonl
    python benchmarks/scaling.py --plot docs/scaling.png --out benchmarks/results/scaling.jsonl
    python benchmarks/scaling.py --slow-environment --out benchmarks/results/slow_environment.json

Each line of the output is the JSON object of one call of update.py, with the ``series`` it belongs
to and its ``x``; for env runners, what a run on CartPole takes for each update, with the sampling
that goes with it. Drawing needs matplotlib; lines that the file already has are not measured again.
A straight line of slope 1 in a plot is time proportional to the work.

``--slow-environment`` asks something else, in about three minutes: of four env runners whose
environments take 50 ms a step, what share of the environments' own rate is left while updates run,
with synchronous and with asynchronous sampling, and what training ratio is reached. Its output is
one JSON object. Updates should take most of the time of the run, and not all of it, to learn
anything from it: see ``share_of_time_in_updates``, and set ``--slow-ratio`` for the machine.
"""

import argparse
import functools
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers.interleave import Child, print_table, spread

UPDATE = Path(__file__).with_name("update.py")

# Name of the axis -> (option of update.py, values, other options). The workload is given as text.
SERIES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "batch": ("batch", (4, 8, 16, 32), {"workload": "vector-xs"}),
    "length": ("length", (16, 32, 64, 128), {"workload": "vector-xs"}),
    "horizon": ("horizon", (4, 8, 15, 30), {"workload": "vector-xs"}),
    "size": (
        "workload",
        ("vector-1m", "vector-12m", "vector-25m"),
        {"batch": 8, "length": 32},
    ),
    "image size": (
        "workload",
        ("image16-xs", "image32-xs", "image-xs", "image128-xs"),
        {"batch": 4},
    ),
}
ENV_RUNNERS = (1, 2, 4)
THREADS = 2

Measure = Callable[[int], dict[str, Any]]


def points() -> list[tuple[str, Any, Measure]]:
    """Series, x, and what measures it when told how often."""
    result: list[tuple[str, Any, Measure]] = []
    for name, (option, values, others) in SERIES.items():
        for value in values:
            options = {**others, option: value}
            arguments = [f"--{key}={x}" for key, x in options.items()]
            result.append((name, value, functools.partial(measure_update, arguments)))
    for count in ENV_RUNNERS:
        result.append(("env runners", count, functools.partial(measure_training, count)))
    return result


def measure_training(env_runners: int, runs: int) -> dict[str, Any]:
    """Seconds for each update of a run with env runners that are actors, sampling included."""
    arguments = [f"--env-runners={env_runners}", f"--threads={THREADS}"]
    with Child(sys.executable, "peers.own_training", arguments, THREADS) as child:
        answer = child.ask()
        while not answer["updates"]:
            answer = child.ask()
        seconds = []
        for _ in range(runs):
            before, answer = answer, child.ask()
            seconds.append(answer["seconds"] / (answer["updates"] - before["updates"]))
        return {**child.hello, "runs": runs, **spread(seconds, "s"), **child.finish()}


def measure_update(arguments: list[str], runs: int) -> dict[str, Any]:
    """The JSON object that update.py prints last."""
    command = [sys.executable, str(UPDATE), *arguments, f"--runs={runs}", "--json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def measure_slow_environment(training_ratio: float) -> dict[str, Any]:
    """Env steps a second beside updates, for both ways of sampling."""
    result: dict[str, Any] = {"environments_own_rate_per_s": 4 / 0.05}
    for sampling in ("synchronous", "asynchronous"):
        arguments = [f"--sampling={sampling}", f"--training-ratio={training_ratio}"]
        with Child(sys.executable, "peers.slow_environment", arguments, THREADS) as child:
            result[sampling] = {**child.hello, **child.ask(), **child.finish()}
    return result


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws one panel for each series: seconds, and the floor of the dense products."""
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
            axes.set_xticks(xs, xs)
            axes.set_xticks([], minor=True)
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


def main() -> None:
    """Measures what is missing, and draws."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended to")
    parser.add_argument("--plot", type=Path, help="picture to draw (needs matplotlib)")
    parser.add_argument("--runs", type=int, default=4, help="updates or iterations to time")
    parser.add_argument("--slow-environment", action="store_true", help="see above")
    parser.add_argument("--slow-ratio", type=float, default=8, help="training_ratio for it")
    options = parser.parse_args()
    if options.slow_environment:
        result = measure_slow_environment(options.slow_ratio)
        print_table(result)
        options.out.write_text(json.dumps(result, indent=1) + "\n")
        return
    rows = []
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    known = {(row["series"], row["x"]) for row in rows}
    with options.out.open("a") as file:
        for series, x, measure in points():
            if (series, x) in known:
                continue
            row = {"series": series, "x": x, **measure(options.runs)}
            print(f"{series:<12}{x!s:>14}{row['median_s']:>10.3f} s", flush=True)
            file.write(json.dumps(row) + "\n")
            file.flush()
            rows.append(row)
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
