"""``rllib doctor``: estimates the cost of a run, or diagnoses a finished one."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_cli.errors import InputError, RunError, reraise_as
from rllib_cli.inputs import JSON, env_config, extend_import_path, pythonpath
from rllib_cli.libraries import loading_libraries

if TYPE_CHECKING:
    from rllib_cli.display import Display
    from rllib_cli.dry_run import RunCosts

_GB = 1e9
# Leaves memory for other programs and for the copy that a checkpoint makes.
_MAX_MEMORY_SHARE = 0.8
# Largest share of a run's env steps before learning starts.
_MAX_START_SHARE = 0.2


@click.command()
@click.argument("target", required=False)
@click.option("--env", "-e", help="Environment, instead of the file's: an id or module:Class.")
@env_config
@pythonpath
@click.option("--config", type=JSON, default="{}", help="RLlib's config; over that of the file.")
@click.option("--stop", "-s", type=JSON, help="Stop criteria: result name -> value.")
@click.option(
    "--report",
    is_flag=True,
    help="Print versions, machine, config, results and error for a bug report, without paths.",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def doctor(
    target: str | None,
    env: str | None,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    config: dict[str, Any],
    stop: dict[str, Any] | None,
    report: bool,
    verbosity: int,
) -> None:
    """Estimate the cost of a run, or diagnose one.

    If TARGET is a file for `rllib train file`, makes a few real steps and updates and estimates
    time, memory and disk of the run. If it is a directory of results, or a checkpoint in one,
    reports what looks wrong, with the evidence and what to change. The exit code is 1 if there are
    warnings or findings. With --report, describes the installation, and the runs in TARGET if it is
    given, in Markdown.
    """
    if report:
        click.echo(_problem_report(target, verbosity), nl=False)
        return
    if not (target or env):
        raise click.UsageError("Give a file, a directory of results, or --env.")
    extend_import_path(pythonpath)
    sys.exit(examine(target, env, env_config, config, stop, verbosity))


def examine(
    target: str | None,
    env: str | None,
    env_config: Mapping[str, Any] | None,
    config: Mapping[str, Any],
    stop: Mapping[str, Any] | None,
    verbosity: int,
) -> int:
    """Estimate the cost of a run, or diagnose one.

    Args:
        target: A file for ``rllib train file``, or a directory of results; None for ``env`` alone.
        env: An environment, instead of that of the file.
        env_config: Options of the environment; they override those of the file.
        config: RLlib's config; its options override those of the file.
        stop: Stop criteria; they override those of the file.
        verbosity: From 1, print tracebacks of errors.

    Returns:
        The exit code: 1 if there are warnings or findings.

    Raises:
        InputError: If there is no such file or environment, an option is wrong, or options are
            given with a directory of results.
        RunError: If the environment cannot be used.
    """
    from rllib_cli.display import open_display
    from rllib_cli.experiment_files import from_file
    from rllib_cli.experiments import from_options

    with open_display(plain=verbosity > 0) as display:
        if target and Path(target).expanduser().is_dir():
            given = {"--env": env, "--env-config": env_config, "--config": config, "--stop": stop}
            if ignored := [name for name, value in given.items() if value]:
                raise InputError(
                    f"{target} is a directory of results, which are diagnosed as they are: remove "
                    f"{', '.join(ignored)}, or name a file for `rllib train file`."
                )
            with reraise_as(InputError, verbosity):
                return _diagnose(Path(target).expanduser(), display)
        display.set_phase("loading TensorFlow and RLlib")
        loaded = (
            from_file(target, verbosity, env or config.get("env"))
            if target
            else [from_options("DreamerV3", env, dict(config))]
        )
        warnings = 0
        for experiment in loaded:
            changed = experiment.changed(config=config, env_config=env_config, stop=stop)
            extend_import_path((), changed.config)
            warnings += _estimate(changed, display, verbosity)
        return int(warnings > 0)


def _problem_report(target: str | None, verbosity: int) -> str:
    from rllib_cli.problem_report import problem_report

    with reraise_as(InputError, verbosity):
        return problem_report(Path(target).expanduser() if target else None)


def _diagnose(directory: Path, display: "Display") -> int:
    """Print the findings of each trial in a directory; return the exit code."""
    from rllib_dreamerv3.reports.findings import nothing_found
    from rllib_dreamerv3.reports.history import ENV_STEPS, RESULTS_FILE, UPDATES, History
    from rllib_dreamerv3.reports.runs import trials_in
    from rllib_dreamerv3.reports.trial_findings import trial_findings

    trials = trials_in(directory)
    if not trials:
        raise RunError(
            f"There is no {RESULTS_FILE} in {directory}, below it or beside it: it has no results "
            "of a run."
        )
    diagnosed = 0
    for trial in trials:
        history = History.read(trial)
        updates = history.latest(UPDATES, 0.0)
        display.print(
            f"{trial.name}: {history.latest(ENV_STEPS, 0.0):,.0f} env steps, {updates:,.0f} updates"
        )
        found = trial_findings(trial, history)
        for finding in found:
            display.print(f"\n{finding}")
        if not found:
            display.print(f"\n{nothing_found(updates)}")
        display.print("")
        diagnosed += bool(found)
    return int(diagnosed > 0)


def _estimate(experiment: Any, display: "Display", verbosity: int) -> int:
    """Print the estimated cost of an experiment; return the number of warnings."""
    with reraise_as(RunError, verbosity), loading_libraries(verbosity):
        from ray.tune.search.variant_generator import generate_variants

        import rllib_dreamerv3.plugin  # noqa: F401
        from rllib_cli.dry_run import dry_run
        from rllib_dreamerv3 import DreamerV3Config
    with reraise_as(InputError, verbosity):
        _, variant = next(iter(generate_variants(dict(experiment.config))))
        config = DreamerV3Config().update_from_dict(variant)
        config.validate()
    if config.env is None:
        raise InputError(
            "The estimate steps the environment, and this run has none. Name one with --env."
        )
    display.set_phase("stepping the environment, compiling the update")
    with reraise_as(RunError, verbosity):
        costs = dry_run(config)
    display.set_phase("")
    display.print(f"{experiment.env_name} with model_size {config.model_size}")
    for line in _cost_lines(costs, config, experiment.stop):
        display.print(f"  {line}")
    warnings = list(_warnings(costs, config, experiment.stop))
    for warning in warnings:
        display.print(f"\n{warning}")
    return len(warnings)


def _cost_lines(costs: "RunCosts", config: Any, stop: Mapping[str, float]) -> Iterator[str]:
    from rllib_cli.advice import long_duration

    observations, actions = costs.layout
    columns = ", ".join(
        f"{leaf.key} {'x'.join(map(str, leaf.shape))}" for leaf in observations.leaves
    )
    yield f"observations:   {columns}; actions: a vector of {actions.size}"
    yield f"parameters:     {costs.parameters['total']:,}"
    yield f"env step:       {long_duration(costs.step_s)}"
    yield (
        f"update:         {long_duration(costs.update_s)} for {config.records_per_update:,} "
        f"records; the first one, with compilation, {long_duration(costs.first_update_s)}"
    )
    yield (
        f"updates:        one per {1 / costs.updates_per_step:.3g} env steps, after "
        f"{costs.steps_to_start:,} env steps"
    )
    yield (
        f"memory:         {costs.process_bytes / _GB:.1f} GB plus replay, of "
        f"{costs.machine_bytes / _GB:.1f} GB"
    )
    steps = _env_steps(stop)
    if steps is None:
        yield f"10,000 env steps take {long_duration(costs.run_s(10_000))} on this machine"
        return
    replay = costs.checkpoint_bytes(steps)
    yield f"{steps:,.0f} env steps: about {long_duration(costs.run_s(steps))} on this machine"
    yield f"replay then:    {replay / _GB:.2g} GB, also in each checkpoint"


def _warnings(costs: "RunCosts", config: Any, stop: Mapping[str, float]) -> Iterator[str]:
    steps = _env_steps(stop)
    if steps is not None and costs.steps_to_start > _MAX_START_SHARE * steps:
        yield (
            f"Learning starts at {costs.steps_to_start:,} of {steps:,.0f} env steps: lower "
            "num_steps_sampled_before_learning_starts."
        )
    needed = costs.memory_bytes(costs.replay.records if steps is None else steps)
    if needed > _MAX_MEMORY_SHARE * costs.machine_bytes:
        on_disk = costs.replay.share_bytes < costs.replay.record_bytes
        elsewhere = "" if on_disk else ', or set its storage to "disk"'
        yield (
            f"The run will need {needed / _GB:.1f} GB of memory, of "
            f"{costs.machine_bytes / _GB:.1f} GB: lower capacity_bytes in "
            f"replay_buffer_config{elsewhere}."
        )
    if costs.waiting > 1.0:
        yield (
            f"Env steps take {costs.waiting:.1f} times as long as their updates: add env runners "
            "(num_env_runners), or raise training_ratio."
        )


def _env_steps(stop: Mapping[str, float]) -> float | None:
    from rllib_cli.stop_criteria import ENV_STEP_COUNTERS

    return min((float(stop[name]) for name in ENV_STEP_COUNTERS if name in stop), default=None)
