"""How time grows with the work, and with processes: one number changed at a time.

    python benchmarks/scaling.py --out benchmarks/results/scaling.jsonl
    python benchmarks/scaling.py --only learners --out benchmarks/results/scaling.jsonl
    python benchmarks/scaling.py --plot docs/scaling.png --out benchmarks/results/scaling.jsonl
    python benchmarks/scaling.py --slow-environment --out benchmarks/results/slow_environment.json

Each line of the output is one JSON object, with its ``series`` and its ``x``. Measurements that are
already in the file are skipped. No series takes more than five minutes on two idle cores:

- batch, length, horizon, size, image size: the numbers of one call of update.py.
- env runners: time of each update of a run on CartPole, including its sampling.
- sampling (synchronous, asynchronous): env steps per second during updates, of env runners whose
  environments take 0, 10 or 50 ms per step. "4 x 50 ms" means four with 50 ms.
- learners (vector-xs, image32-xs): an update with ``num_learners`` 0, 1 and 2, one thread each.
- synchronisation (num_learners 0, 1): how long new weights take from the learner to two env
  runners, and what travels.

``--plot`` draws the first two kinds into the picture that it names, and the others, if there are
any, into one beside it whose name ends in ``_processes``. Drawing needs matplotlib. A straight line
of slope 1 in the first is time proportional to the work.

``--slow-environment`` asks in about four minutes: of four env runners whose environments take 50
ms a step, what share of the environments' own rate is left while updates run, with synchronous and
with asynchronous sampling (1 and 4 env steps a request), and what training ratio is reached. Its
output is one JSON object. Updates should take most of the time of the run, and not all of it, to
learn anything from it: see ``share_of_time_in_updates``, and set ``--slow-ratio`` for the machine.
"""

import argparse
import functools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from peers.interleave import Child, print_table
from plot_scaling import LEARNERS, SAMPLING, SYNCHRONISATION, kind, plot_processes, plot_updates
from scaling_processes import (
    ENV_RUNNERS,
    NUM_LEARNERS,
    SIZES,
    STEP_MS,
    WORKLOADS,
    Row,
    Settings,
    measure_learners,
    measure_sampling,
    measure_synchronisation,
    sampling_x,
)
from scaling_updates import SERIES, measure_training, measure_update

THREADS = 2
PROCESSES = (SAMPLING, LEARNERS, SYNCHRONISATION)
WAYS_OF_SAMPLING = ("synchronous", "asynchronous")


class Group(NamedTuple):
    """Rows of one series that are measured together.

    Attributes:
        series: Its name.
        xs: The ``x`` of each row.
        measure: Returns the rows of the given ``x``.
    """

    series: str
    xs: tuple[Any, ...]
    measure: Callable[[Sequence[Any], Settings], list[Row]]


def line_of(row: Row) -> str:
    """A row for the screen."""
    if "env_steps_per_s" in row:
        # Of the measurement alone it is off by up to an update, of which there may be few.
        ratio = row["reached_ratio_since_first_update"]
        said = f"{row['env_steps_per_s']:.1f} env steps/s, ratio {ratio:.2f}"
    else:
        said = f"{row['median_s']:.4f} s"
    return f"{row['series']:<32}{row['x']!s:>14}   {said}"


def groups() -> list[Group]:
    """All that is measured."""
    result: list[Group] = []
    for name, (option, values, others) in SERIES.items():
        for value in values:
            options = {**others, option: value}
            arguments = [f"--{key}={x}" for key, x in options.items()]
            result.append(_single(name, value, functools.partial(measure_update, arguments)))
    for count in ENV_RUNNERS:
        measure = functools.partial(measure_training, count)
        result.append(_single("env runners", count, measure))
    for way in WAYS_OF_SAMPLING:
        for count in ENV_RUNNERS:
            xs = tuple(sampling_x(count, ms) for ms in STEP_MS)
            sample = functools.partial(measure_sampling, way, count)
            result.append(Group(f"{SAMPLING}: {way}", xs, sample))
    for workload in WORKLOADS:
        for count in NUM_LEARNERS:
            learn = functools.partial(measure_learners, workload, count)
            result.append(_single(f"{LEARNERS}: {workload}", count, learn))
    for count in (0, 1):
        for size in SIZES:
            send = functools.partial(measure_synchronisation, size, count)
            result.append(_single(f"{SYNCHRONISATION}: num_learners {count}", size, send))
    return result


def _single(series: str, x: Any, measure: Callable[[Settings], list[Row]]) -> Group:
    """A group of one row."""
    return Group(series, (x,), lambda _, settings: [{"x": x, **measure(settings)[0]}])


def missing(rows: Sequence[Row], only: Sequence[str] | None) -> list[Group]:
    """What is to be measured yet.

    Args:
        rows: Those that are there.
        only: Names of series, or what is before their colon; None for all.
    """
    known = {(row["series"], row["x"]) for row in rows}
    result = []
    for group in groups():
        wanted = only is None or {group.series, kind(group.series)} & {*only}
        xs = tuple(x for x in group.xs if (group.series, x) not in known)
        if wanted and xs:
            result.append(group._replace(xs=xs))
    return result


def measure_slow_environment(training_ratio: float) -> dict[str, Any]:
    """Env steps a second beside updates, for both ways of sampling."""
    result: dict[str, Any] = {"environments_own_rate_per_s": 4 / 0.05}
    for name, fragment in (("synchronous", 1), ("asynchronous", 1), ("asynchronous", 4)):
        arguments = [f"--sampling={name}", f"--training-ratio={training_ratio}"]
        arguments.append(f"--fragment={fragment}")
        with Child(sys.executable, "peers.slow_environment", arguments, THREADS) as child:
            found = {**child.hello, **child.ask(), **child.finish()}
        result[name if fragment == 1 else f"{name}, {fragment} env steps a request"] = found
    return result


def draw(rows: list[Row], path: Path) -> None:
    """Draw updates into a picture, and several processes into one beside it."""
    of_processes = [row for row in rows if kind(row["series"]) in PROCESSES]
    of_updates = [row for row in rows if kind(row["series"]) not in PROCESSES]
    if of_updates:
        plot_updates(of_updates, path)
    if of_processes:
        plot_processes(of_processes, path.with_stem(f"{path.stem}_processes"))


def main() -> None:
    """Measure what is missing, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended to")
    parser.add_argument("--only", nargs="+", metavar="SERIES", help="such as: sampling learners")
    parser.add_argument("--plot", type=Path, help="picture to draw (needs matplotlib)")
    parser.add_argument("--runs", type=int, default=4, help="updates or iterations to time")
    parser.add_argument(
        "--seconds", type=float, default=6, help="of one measurement of the series sampling"
    )
    parser.add_argument("--slow-environment", action="store_true", help="see above")
    parser.add_argument(
        "--slow-ratio", type=float, default=8, help="training_ratio for it, and for sampling"
    )
    options = parser.parse_args()
    if options.slow_environment:
        result = measure_slow_environment(options.slow_ratio)
        print_table(result)
        options.out.write_text(json.dumps(result, indent=1) + "\n")
        return
    names = {name for group in groups() for name in (group.series, kind(group.series))}
    if unknown := {*(options.only or ())} - names:
        parser.error(
            f"no series {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}"
        )
    rows: list[Row] = []
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    settings = Settings(options.runs, options.seconds, options.slow_ratio, THREADS)
    with options.out.open("a") as file:
        for group in missing(rows, options.only):
            for measured in group.measure(group.xs, settings):
                row = {"series": group.series, **measured}
                print(line_of(row), flush=True)
                file.write(json.dumps(row) + "\n")
                rows.append(row)
            file.flush()
    if options.plot:
        draw(rows, options.plot)


if __name__ == "__main__":
    main()
