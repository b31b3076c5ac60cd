"""``rllib reproduce``: judges runs of a published task by the returns of the authors' seeds."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_cli.errors import InputError, reraise_as
from rllib_cli.inputs import JSON

if TYPE_CHECKING:
    from rich.console import Console

    from rllib_dreamerv3.reports.judgement import Judgement
    from rllib_dreamerv3.reports.protocols import Protocol

# Columns of a table that is written to a file; it holds ten seeds of the authors.
_WIDTH = 160


@click.command()
@click.argument("task", required=False)
@click.option("--list", "listed", is_flag=True, help="List the tasks, and train nothing.")
@click.option(
    "--runs",
    multiple=True,
    metavar="PATH",
    help="Judge these runs instead of training: a directory of runs, or a curve (CSV) or a "
    "directory of curves of benchmarks/learning.py; may be repeated.",
)
@click.option("--seeds", multiple=True, type=int, help="Seed to train; may be repeated.  [0]")
@click.option(
    "--variant",
    type=click.Choice(["v1", "v2"]),
    help="Train the protocol of this published version, if there are two.  [v1]",
)
@click.option("--env-steps", type=click.IntRange(min=1), help="Train to here, not to the end.")
@click.option("--config", type=JSON, default="{}", help="RLlib's config; over the protocol's.")
@click.option(
    "--storage-path",
    type=click.Path(file_okay=False, path_type=Path),
    default="~/ray_results",
    show_default=True,
    help="Directory of the trained runs.",
)
def reproduce(
    task: str | None,
    listed: bool,
    runs: tuple[str, ...],
    seeds: tuple[int, ...],
    variant: str | None,
    env_steps: int | None,
    config: dict[str, Any],
    storage_path: Path,
) -> None:
    """Judge runs of a published task by the authors' own seeds.

    TASK is a name of --list, such as dmc_finger_spin, or an environment such as
    dm_control/finger-spin-v0. Without --runs, trains the tuned example with the task's published
    settings, one seed after the other; the same command continues what was interrupted.

    In each window of env steps with published returns, the mean of our seeds is "inside" if it
    differs from the mean of the authors' seeds by at most their standard deviation, otherwise
    "above" or "below". The last window gives the verdict. Runs with other settings (variant, model
    size, training ratio, environment) are shown without one.
    """
    if listed == bool(task):
        raise click.UsageError("Give a task, or --list.")
    if listed:
        _print_tasks()
        return
    if runs and (seeds or variant or env_steps or config):
        raise click.UsageError(
            "--seeds, --variant, --env-steps and --config are about training; --runs trains "
            "nothing."
        )
    from rich.console import Console

    from rllib_dreamerv3.reports.judgement import judge, load_curves
    from rllib_dreamerv3.reports.protocols import protocols_of

    with reraise_as(InputError, 0):
        protocols = protocols_of(str(task))
        name = protocols[0].task
        paths = [Path(path) for path in runs]
        if not paths:
            protocol = _protocol(protocols, variant)
            paths = _train(protocol, seeds or (0,), env_steps, config, storage_path.expanduser())
        prescribed = {each.benchmark.example: prescribed_options(each) for each in protocols}
        judgements = judge(name, load_curves(name, paths), prescribed)
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDTH
    for judgement in judgements:
        _print(console, judgement)


def prescribed_options(protocol: "Protocol") -> Mapping[str, Any]:
    """Return the options of a protocol's tuned example."""
    from rllib_cli.experiment_files import from_file

    (experiment,) = from_file(protocol.benchmark.example)
    return experiment.config


def _protocol(protocols: list["Protocol"], variant: str | None) -> "Protocol":
    found = [each for each in protocols if each.benchmark.variant == (variant or "v1")]
    if not found:
        raise InputError(f"{protocols[0].task} has no published returns of {variant}.")
    return found[0]


def _train(
    protocol: "Protocol",
    seeds: tuple[int, ...],
    env_steps: int | None,
    config: Mapping[str, Any],
    storage_path: Path,
) -> list[Path]:
    """Train what is not complete yet; return the directories of the runs."""
    from rllib_cli.experiment_files import from_file
    from rllib_cli.seed_runs import SeedRun, run_name
    from rllib_dreamerv3.reports.history import ENV_STEPS
    from rllib_dreamerv3.reports.protocols import environments

    (experiment,) = from_file(protocol.benchmark.example)
    options = {**experiment.config, **config}
    name = f"{protocol.task}_{protocol.benchmark.variant}"
    directories = []
    for seed in dict.fromkeys(seeds):
        run = SeedRun(
            protocol.benchmark.example,
            protocol.env,
            {"metrics_num_episodes_for_smoothing": environments(options), **config, "seed": seed},
            env_steps or int(experiment.stop[ENV_STEPS]),
            storage_path / run_name(name, config, seed),
        )
        if not run.is_complete:
            run.train()
        directories.append(run.directory)
    return directories


def _print_tasks() -> None:
    from rllib_dreamerv3.reports.protocols import protocols

    found = list(protocols())
    width = max(len(each.task) for each in found)
    env_width = max(len(each.env) for each in found)
    for protocol in found:
        benchmark, last = protocol.benchmark, protocol.scores.windows[-1]
        click.echo(
            f"{protocol.task:{width}}  {protocol.env:{env_width}}  {benchmark.variant} "
            f"{benchmark.sizes[0]:4}  {last.mean:.4g} +- {last.deviation:.3g} in {last}"
        )


def _print(console: "Console", judgement: "Judgement") -> None:
    """Print the table of one setting, and its verdict."""
    from rich.table import Table

    from rllib_cli.display import format_number

    table = Table(box=None, padding=(0, 1))
    table.add_column("env steps", no_wrap=True)
    for name in (*(curve.name for curve in judgement.curves), "mean", "authors", "z", "above"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("authors' seeds")
    for each in judgement.windows:
        theirs = each.window
        table.add_row(
            str(theirs),
            *map(format_number, each.ours),
            format_number(each.mean),
            f"{format_number(theirs.mean)} +- {format_number(theirs.deviation)}",
            "-" if each.z is None else f"{each.z:+.1f}",
            "-" if each.beaten is None else f"{each.beaten} of {theirs.seeds}",
            each.verdict or "none",
            " ".join(map(format_number, sorted(theirs.returns))) or f"{theirs.seeds} seeds",
        )
    seeds = len(judgement.curves)
    console.print(
        f"{judgement.protocol.task}, {judgement.settings}, {seeds} seed{'s' * (seeds > 1)}",
        style="bold",
    )
    console.print(table)
    for each in judgement.windows:
        if each.reason:
            console.print(f"{each.window}: no verdict, {each.reason}.")
    if judgement.unreached:
        first, last = judgement.unreached[0], judgement.unreached[-1]
        console.print(
            f"{len(judgement.unreached)} of the authors' windows have no episode of these runs: "
            f"{first} to {last}."
        )
    console.print(f"{judgement.sentence[0].upper()}{judgement.sentence[1:]}.")
    if judgement.differences.others and not judgement.final:
        console.print(f"Other differences: {', '.join(judgement.differences.others)}.")
    console.print()
