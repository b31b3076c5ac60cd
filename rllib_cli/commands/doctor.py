"""``rllib doctor``: what a run will take, and what is wrong with one."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_cli.errors import InputError, RunError, told_as
from rllib_cli.inputs import JSON, env_config, extend_import_path, pythonpath
from rllib_cli.libraries import loading_libraries

if TYPE_CHECKING:
    from rllib_cli.display import Display
    from rllib_cli.dry_run import Rehearsal

_GB = 1e9
# Above this share of memory, other programs and the checkpoint's copy find no room.
_TIGHT_SHARE = 0.8
_SENSIBLE_SHARE_TO_START = 0.2


@click.command()
@click.argument("target", required=False)
@click.option("--env", "-e", help="Environment, in place of a file: an id, or module:Class.")
@env_config
@pythonpath
@click.option("--config", type=JSON, default="{}", help="RLlib's config, with --env.")
@click.option("--stop", "-s", type=JSON, help="Stop criteria: number by result.")
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def doctor(
    target: str | None,
    env: str | None,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    config: dict[str, Any],
    stop: dict[str, Any] | None,
    verbosity: int,
) -> None:
    """Say what a run will take, or what is wrong with one.

    TARGET is a file for `rllib train file`: a few real steps and updates are made, and time, memory
    and disk of the whole run follow. Or it is the results of a run, or a checkpoint in them: what
    looks wrong is named, with what was seen and what to change. The exit code is 1 then.
    """
    if bool(target) == bool(env):
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
    """Examines a run before it begins, or one that has begun.

    Args:
        target: A file for ``rllib train file``, or a directory of results; None with ``env``.
        env: An environment, in place of a file.
        env_config: Options of the environment, over those of the file.
        config: RLlib's config, beside ``env``.
        stop: Stop criteria, over those of the file.
        verbosity: From 1 on, errors come with their traceback.

    Returns:
        The exit code: 1 if something is wrong.

    Raises:
        InputError: If there is no such file or environment, or an option is wrong.
        RunError: If the environment cannot be used.
    """
    from rllib_cli.display import open_display
    from rllib_cli.experiment_files import from_file
    from rllib_cli.experiments import from_options

    with open_display(plain=verbosity > 0) as display:
        if target and Path(target).expanduser().is_dir():
            return _examine_results(Path(target).expanduser(), display)
        display.wait("loading TensorFlow and RLlib")
        loaded = (
            [from_options("DreamerV3", env, dict(config))]
            if env
            else from_file(str(target), verbosity, None)
        )
        worrying = 0
        for experiment in loaded:
            changed = experiment.changed(env_config=env_config, stop=stop)
            worrying += _rehearse(changed, display, verbosity)
        return int(worrying > 0)


def _examine_results(directory: Path, display: "Display") -> int:
    """Names what is wrong with each trial below a directory, or around a checkpoint."""
    from rllib_dreamerv3.reports.findings import FEWEST_UPDATES
    from rllib_dreamerv3.reports.history import ENV_STEPS, RESULTS_FILE, UPDATES, History
    from rllib_dreamerv3.reports.runs import trials_in
    from rllib_dreamerv3.reports.trial_findings import trial_findings

    trials = trials_in(directory)
    if not trials:
        raise RunError(
            f"There is no {RESULTS_FILE} in {directory}, below it or beside it: it holds no "
            "results of a run."
        )
    sick = 0
    for trial in trials:
        history = History.read(trial)
        updates = history.latest(UPDATES, 0.0)
        display.say(
            f"{trial.name}: {history.latest(ENV_STEPS, 0.0):,.0f} env steps, {updates:,.0f} updates"
        )
        found = trial_findings(trial, history)
        for finding in found:
            display.say(f"\n{finding}")
        if not found:
            young = updates < 2 * FEWEST_UPDATES
            few = f" Too few updates to say much: ask again after {2 * FEWEST_UPDATES:,}."
            display.say(f"\nNothing looks wrong.{few if young else ''}")
        display.say("")
        sick += bool(found)
    return int(sick > 0)


def _rehearse(experiment: Any, display: "Display", verbosity: int) -> int:
    """Tries an experiment's config out and prints what its run will take; returns the worries."""
    with told_as(RunError, verbosity), loading_libraries(verbosity):
        from ray.tune.search.variant_generator import generate_variants

        import rllib_dreamerv3.plugin  # noqa: F401
        from rllib_cli.dry_run import rehearse
        from rllib_dreamerv3 import DreamerV3Config
    with told_as(InputError, verbosity):
        _, variant = next(iter(generate_variants(dict(experiment.config))))
        config = DreamerV3Config().update_from_dict(variant)
        config.validate()
    display.wait("stepping the environment, compiling the update")
    with told_as(RunError, verbosity):
        rehearsal = rehearse(config)
    display.wait("")
    display.say(f"{experiment.env_name} with model_size {config.model_size}")
    for line in in_words(rehearsal, config, experiment.stop):
        display.say(f"  {line}")
    worries = list(_worries(rehearsal, config, experiment.stop))
    for worry in worries:
        display.say(f"\n{worry}")
    return len(worries)


def in_words(rehearsal: "Rehearsal", config: Any, stop: Mapping[str, float]) -> Iterator[str]:
    """What a run takes, a line for each thing.

    Args:
        rehearsal: What was measured.
        config: What it was measured with.
        stop: Stop criteria.

    Yields:
        Lines.
    """
    from rllib_cli.advice import long_duration

    observations, actions = rehearsal.layout
    columns = ", ".join(
        f"{leaf.key} {'x'.join(map(str, leaf.shape))}" for leaf in observations.leaves
    )
    yield f"observations:   {columns}; actions: a vector of {actions.size}"
    yield f"parameters:     {rehearsal.parameters['total']:,}"
    yield f"an env step:    {long_duration(rehearsal.step_s)}"
    yield (
        f"an update:      {long_duration(rehearsal.update_s)} for {config.records_per_update:,} "
        f"records; the first, which is compiled, {long_duration(rehearsal.first_update_s)}"
    )
    yield (
        f"updates:        one for each {1 / rehearsal.updates_per_step:.3g} env steps, from "
        f"{rehearsal.steps_to_start:,} env steps on"
    )
    yield (
        f"memory:         {rehearsal.process_bytes / _GB:.1f} GB and replay, of "
        f"{rehearsal.machine_bytes / _GB:.1f} GB"
    )
    steps = _env_steps(stop)
    if steps is None:
        yield f"10,000 env steps take {long_duration(rehearsal.run_s(10_000))} on this machine"
        return
    replay = rehearsal.replay_bytes(steps)
    yield f"{steps:,.0f} env steps: about {long_duration(rehearsal.run_s(steps))} on this machine"
    yield f"replay then:    {replay / _GB:.2g} GB, in each checkpoint too"


def _worries(rehearsal: "Rehearsal", config: Any, stop: Mapping[str, float]) -> Iterator[str]:
    steps = _env_steps(stop)
    if steps is not None and rehearsal.steps_to_start > _SENSIBLE_SHARE_TO_START * steps:
        yield (
            f"Learning starts at {rehearsal.steps_to_start:,} of {steps:,.0f} env steps: lower "
            "num_steps_sampled_before_learning_starts."
        )
    needed = rehearsal.process_bytes + rehearsal.replay_bytes(
        rehearsal.replay.records if steps is None else steps
    )
    if needed > _TIGHT_SHARE * rehearsal.machine_bytes:
        yield (
            f"{needed / _GB:.1f} GB of memory are needed in the end, of "
            f"{rehearsal.machine_bytes / _GB:.1f} GB: lower capacity_bytes in "
            'replay_buffer_config, or set its storage to "disk".'
        )
    waiting = rehearsal.step_s / (rehearsal.updates_per_step * rehearsal.update_s)
    if waiting > 1.0:
        yield (
            f"Env steps take {waiting:.1f} times as long as the updates they ask for: add env "
            "runners (num_env_runners), or raise training_ratio."
        )


def _env_steps(stop: Mapping[str, float]) -> float | None:
    from rllib_dreamerv3.reports.history import ENV_STEPS

    for name in (ENV_STEPS, f"env_runners/{ENV_STEPS}"):
        if name in stop:
            return float(stop[name])
    return None
