"""Runs experiments with Ray Tune, from the first check to the last word."""

import inspect
import math
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import indent
from typing import Any

from rllib_cli import resume, stop_criteria
from rllib_cli.display import Display, short, whole
from rllib_cli.errors import InputError, RunError, describe, told_as, unknown
from rllib_cli.experiments import Experiment
from rllib_cli.inputs import find_checkpoint
from rllib_cli.interrupts import Interrupts
from rllib_cli.libraries import loading_libraries, start_ray
from rllib_cli.progress import look_up
from rllib_dreamerv3.checkpoints.manifest import verify
from rllib_dreamerv3.checkpoints.runs import newest_whole

RETURN_MEAN = "env_runners/episode_return_mean"

# With less than this even what Tune writes about a failure finds no room.
_NO_ROOM_BYTES = 1 << 20


@dataclass(frozen=True)
class RunOptions:
    """How experiments are run, whatever they are.

    Attributes:
        verbosity: 0, 1 or 2.
        resume: Whether to go on with the experiment of the same name.
        from_checkpoint: Checkpoint that every new trial begins from; None: from nothing.
        scheduler: Name of a Tune scheduler.
        scheduler_config: Its arguments.
        ray: Arguments of ``ray.init``.
        pythonpath: Directories that were added to the import path.
        wandb: Project of Weights & Biases that gets the results too; None: none.
        mlflow: MLflow's experiment that gets the results too; None: none.
    """

    verbosity: int = 0
    resume: bool = False
    from_checkpoint: str | None = None
    scheduler: str = "fifo"
    scheduler_config: Mapping[str, Any] | None = None
    ray: Mapping[str, Any] | None = None
    pythonpath: tuple[str, ...] = ()
    wandb: str | None = None
    mlflow: str | None = None


def run_all(experiments: list[Experiment], options: RunOptions, display: Display) -> int:
    """Runs experiments one after the other.

    Args:
        experiments: What to run. All are checked before the first starts.
        options: How to run them.
        display: Where progress is shown.

    Returns:
        The exit code: 0, or 1 if a trial failed, or 130 after an interrupt.

    Raises:
        InputError: If an experiment asks for something that does not exist or is wrong.
        RunError: If the cluster is too small, or Ray or Tune fail.
        KeyboardInterrupt: At the second Ctrl-C.
    """
    if options.from_checkpoint:
        path, problems = find_checkpoint(options.from_checkpoint)
        for problem in problems:
            display.say(problem)
        with told_as(RunError, options.verbosity):
            verify(path)
        options = replace(options, from_checkpoint=str(path))
    display.wait("loading TensorFlow and Ray")
    with told_as(RunError, options.verbosity), loading_libraries(options.verbosity):
        import rllib_dreamerv3.plugin  # noqa: F401  registers the algorithm with RLlib

    checked = [_check(experiment, options) for experiment in experiments]
    scheduler = _scheduler(options)
    display.wait("starting Ray")
    logs = start_ray(
        options.ray or {},
        pythonpath=bool(options.pythonpath),
        verbosity=options.verbosity,
        say=display.say,
    )
    code = 0
    for experiment, configs in zip(experiments, checked, strict=True):
        display.wait("")
        for note in experiment.notes:
            display.say(note)
        with Interrupts() as interrupts:
            results = _run(experiment, configs, scheduler, options, display, interrupts)
            code = max(code, conclude(results, display, logs, interrupted=interrupts.requested))
            if interrupts.requested:
                return 130
    return code


def _check(experiment: Experiment, options: RunOptions) -> list[Any]:
    """Builds RLlib's config for every point of the grid, as each trial will do."""
    from ray.rllib.algorithms.registry import ALGORITHMS
    from ray.tune.search.variant_generator import generate_variants

    algorithm: Any = experiment.algorithm
    if isinstance(algorithm, str):
        if algorithm not in ALGORITHMS:
            raise unknown("algorithm", algorithm, ALGORITHMS)
        with told_as(InputError, options.verbosity):
            algorithm = ALGORITHMS[algorithm]()[0]
    if options.resume:
        resume.check(experiment, _said(experiment, options))
    configs = []
    with told_as(InputError, options.verbosity):
        for _, variant in generate_variants(dict(experiment.config)):
            config = algorithm.get_default_config().update_from_dict(variant)
            config.validate()
            configs.append(config)
    return configs


def _scheduler(options: RunOptions) -> Any:
    from ray.tune.schedulers import SCHEDULER_IMPORT, create_scheduler

    names = {**{name: name for name in SCHEDULER_IMPORT}, "asha": "async_hyperband"}
    if options.scheduler.lower() not in names:
        raise unknown("scheduler", options.scheduler, names)
    name = names[options.scheduler.lower()]
    given = dict(options.scheduler_config or {})
    accepted = inspect.signature(SCHEDULER_IMPORT[name]).parameters
    for key in given:
        # Tune would leave an unknown one out without a word.
        if key not in accepted:
            raise unknown(f"option of scheduler {name}:", key, accepted)
    if "metric" in accepted:
        given = {"metric": RETURN_MEAN, "mode": "max", **given}
        notes: list[str] = []
        given["metric"] = stop_criteria.current_name(given["metric"], notes)
    with told_as(InputError, options.verbosity):
        return create_scheduler(name, **given)


def _run(
    experiment: Experiment,
    configs: list[Any],
    scheduler: Any,
    options: RunOptions,
    display: Display,
    interrupts: Interrupts,
) -> Any:
    import ray

    from rllib_cli.tune_callback import told_to, trackers
    from rllib_dreamerv3.plugin.cluster.resources import (
        check_resources,
        cpus_for_main_process,
        what_is_asked,
    )
    from rllib_dreamerv3.startup.devices import check_gpus

    cluster = ray.cluster_resources()
    with told_as(RunError, options.verbosity):
        for config in configs:
            check_resources(config, cluster, in_tune=True)
            if len(ray.nodes()) == 1:  # Then trials see what this process sees.
                check_gpus(config.num_gpus_per_learner)

    if (options.ray or {}).get("address") or configs[0].num_learners:
        each = "" if len(configs) * experiment.num_samples == 1 else "Each trial: "
        display.say(each + what_is_asked(configs[0], cluster, len(ray.nodes())))
    trials = len(configs) * experiment.num_samples
    space = dict(experiment.config)
    if trials == 1 and configs[0].num_learners == 0 and _main_process_is_default(configs[0]):
        # Nothing else is going to use them, and the learner is in the main process.
        space["num_cpus_for_main_process"] = cpus_for_main_process(configs[0], _cpus_here())
    if options.from_checkpoint:
        space["start_checkpoint"] = options.from_checkpoint
    display.begin(experiment.stop, expected_trials=trials)
    with (
        told_as(RunError, options.verbosity),
        told_to(display, interrupts, experiment, trackers(options.wandb, options.mlflow)),
    ):
        if options.resume:
            with _full_disk_told(experiment):
                return _resumed(experiment, display).fit()
        if "://" not in experiment.storage_path:
            resume.write_said(Path(experiment.directory()), _said(experiment, options))
        with _full_disk_told(experiment):
            return _tuner(experiment, space, scheduler, options).fit()


@contextmanager
def _full_disk_told(experiment: Experiment) -> Iterator[None]:
    """Says so when what fails inside does so because there is no room for results."""
    try:
        yield
    except Exception as error:
        if not _is_full(experiment.directory()):
            raise
        raise RunError(_full_disk(experiment.directory())) from error


def _is_full(directory: str) -> bool:
    return Path(directory).is_dir() and shutil.disk_usage(directory).free < _NO_ROOM_BYTES


def _full_disk(directory: str) -> str:
    return (
        f"The disk of {directory} is full. What was saved before is whole: make room, and go on "
        "with the same command and --resume."
    )


def _said(experiment: Experiment, options: RunOptions) -> Any:
    return resume.said_by(experiment, options.scheduler, options.scheduler_config)


def _main_process_is_default(config: Any) -> bool:
    default = type(config)().num_cpus_for_main_process
    return bool(config.num_cpus_for_main_process == default)


def _cpus_here() -> float:
    """CPUs that Ray may use on this machine."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    return sum(node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["NodeID"] == here)


def _tuner(
    experiment: Experiment, space: dict[str, Any], scheduler: Any, options: RunOptions
) -> Any:
    from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

    storage, _, name = experiment.directory().rpartition("/")
    return Tuner(
        experiment.algorithm,
        param_space=space,
        tune_config=TuneConfig(
            num_samples=experiment.num_samples,
            scheduler=scheduler,
            max_concurrent_trials=experiment.max_concurrent_trials,
            time_budget_s=experiment.time_budget_s,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=storage,
            stop=dict(experiment.stop) or None,
            checkpoint_config=CheckpointConfig(**experiment.tune_checkpoint_config()),
            failure_config=FailureConfig(max_failures=experiment.max_failures),
            verbose=0,
        ),
    )


def _resumed(experiment: Experiment, display: Display) -> Any:
    """The experiment as it was left on disk; see ``resume.py``."""
    from ray.tune import ExperimentAnalysis, ResumeConfig, Tuner

    for note in resume.prepare(experiment):
        display.say(note)
    directory = experiment.directory()
    go_on, skip = ResumeConfig.ResumeType.RESUME, ResumeConfig.ResumeType.SKIP
    trials = ExperimentAnalysis(directory).trials
    if all(trial.status == trial.TERMINATED for trial in trials):
        display.say("Every trial has reached its stop criterion; to train longer, raise --stop.")
    return Tuner.restore(
        directory,
        experiment.algorithm,
        _resume_config=ResumeConfig(finished=skip, unfinished=go_on, errored=go_on),
    )


def conclude(results: Any, display: Display, logs: str, *, interrupted: bool) -> int:
    """Says what became of the trials, and what can be done with them.

    Args:
        results: Tune's ``ResultGrid``.
        display: Where to say it.
        logs: Where the output of all processes is.
        interrupted: Whether the run was stopped before its end.

    Returns:
        1 if a trial failed, else 0.
    """
    display.close()
    if _is_full(results.experiment_path):
        display.say(_full_disk(results.experiment_path))
    failures: dict[str, list[str]] = {}
    for result in results:
        if result.error:
            failures.setdefault(describe(result.error), []).append(result.path)
    for message, paths in failures.items():
        display.say(f"\n{len(paths)} trials failed:" if len(paths) > 1 else "\nThe trial failed:")
        display.say(indent(message, "  "))
        display.say(f"Traceback: {paths[0]}/error.txt\nFull log:  {logs}")

    if len(results) > 1:
        display.say("\n    return   env steps  trial")
        for result in sorted(results, key=_return_of, reverse=True):
            steps = look_up(result.metrics or {}, "num_env_steps_sampled_lifetime")
            mean = look_up(result.metrics or {}, RETURN_MEAN)
            display.say(f"{short(mean):>10} {whole(steps):>11}  {Path(result.path).name}")
        display.say(f"\nResults:    {results.experiment_path}")
    else:
        display.say(f"\nResults:    {results[0].path}")
    for result in sorted(results, key=_return_of, reverse=True):
        saved, _ = newest_whole(Path(result.path))
        if saved:
            display.say(f"Checkpoint: {saved.path}")
            naming = _naming(result.config or {})
            display.say(f"Play it:    rllib evaluate {shlex.quote(str(saved.path))}{naming}")
            break
    if any(result.metrics for result in results):
        place = results.experiment_path if len(results) > 1 else results[0].path
        display.say(f"Look at it: rllib report {shlex.quote(place)}")
    if interrupted:
        display.say("Go on:      the same command with --resume")
    return 1 if failures else 0


def _naming(config: Mapping[str, Any]) -> str:
    """Options by which an environment that needs an import is named once more for playing."""
    from rllib_dreamerv3.envs.named_class import directory_of, find_maker
    from rllib_dreamerv3.envs.registry import is_benchmark
    from rllib_dreamerv3.plugin.sampling.environments import is_registered_with_tune

    env = config.get("env")
    if isinstance(env, str) and is_registered_with_tune(env) and not find_maker(env):
        # What stands behind the name is known to the file that registered it alone.
        return f" --env MODULE:CLASS, for what {env!r} stands for; --pythonpath DIR for its module"
    if not isinstance(env, str) or ":" not in env or is_benchmark(env):
        return ""
    directory = directory_of(env)
    where = f" --pythonpath {shlex.quote(directory)}" if directory else ""
    return f" --env {shlex.quote(env)}{where}"


def _return_of(result: Any) -> float:
    mean = look_up(result.metrics or {}, RETURN_MEAN)
    return -math.inf if mean is None else mean
