"""Runs experiments with Ray Tune: checks, and the run itself."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rllib_cli import config_check, resume, stop_criteria
from rllib_cli.advice import smaller_size
from rllib_cli.display import Display
from rllib_cli.errors import InputError, RunError, reraise_as, unknown
from rllib_cli.experiments import Experiment
from rllib_cli.full_disk import full_disk_reported
from rllib_cli.inputs import find_checkpoint
from rllib_cli.interrupts import Interrupts
from rllib_cli.libraries import loading_libraries, start_ray
from rllib_cli.summary import conclude, stopped_at_once
from rllib_dreamerv3.checkpoints.files import POLICY_FILE, networks_file
from rllib_dreamerv3.checkpoints.manifest import is_shared, verify
from rllib_dreamerv3.checkpoints.named import is_name
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.reports.curve import TRAINING_RETURN

# Argument of a scheduler that says what it changes, and an example.
_CHANGES = {
    "pbt": ("hyperparam_mutations", '{"entropy_scale": [1e-4, 3e-4, 1e-3]}'),
    "pb2": ("hyperparam_bounds", '{"entropy_scale": [1e-4, 1e-3]}'),
}


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that apply to all its experiments.

    Attributes:
        verbosity: 0, 1 or 2.
        resume: Whether to resume the experiment of the same name.
        from_checkpoint: Checkpoint from which new trials start; None: from scratch.
        scheduler: Name of a Tune scheduler.
        scheduler_config: Arguments of the scheduler.
        ray: Arguments of ``ray.init``.
        pythonpath: Directories that were added to the import path.
        wandb: Project of Weights & Biases to log to; None: none.
        mlflow: MLflow experiment to log to; None: none.
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
    """Run experiments one after the other.

    Args:
        experiments: The experiments. All are checked before the first one starts.
        options: Options of the run.
        display: Shows the progress.

    Returns:
        The exit code: 0, or 1 if a trial failed, or 130 after an interrupt.

    Raises:
        InputError: If an experiment or option is wrong.
        RunError: If the cluster is too small, or Ray or Tune fail.
        KeyboardInterrupt: At the second Ctrl-C.
    """
    if options.from_checkpoint:
        path, problems = find_checkpoint(options.from_checkpoint)
        for problem in problems:
            display.print(problem)
        only_networks = all(
            _takes_only_networks(experiment, options.from_checkpoint, path)
            for experiment in experiments
        )
        with reraise_as(RunError, options.verbosity):
            verify(path, only=[POLICY_FILE, networks_file(path)] if only_networks else None)
        if only_networks:
            parts = experiments[0].config.get("start_parts") or "the networks"
            display.print(
                f"Starting with {parts} of {path}. Optimizers, counters and replay are new."
            )
        if not is_name(options.from_checkpoint):
            options = replace(options, from_checkpoint=str(path))
    display.set_phase("loading TensorFlow and Ray")
    with reraise_as(RunError, options.verbosity), loading_libraries(options.verbosity):
        import rllib_dreamerv3.plugin  # noqa: F401  registers the algorithm with RLlib

    checked = [_check(experiment, options) for experiment in experiments]
    _scheduler(options)  # Raises errors before Ray starts.
    display.set_phase("starting Ray")
    logs = start_ray(
        options.ray or {},
        pythonpath=bool(options.pythonpath),
        verbosity=options.verbosity,
        show=display.print,
    )
    code = 0
    for experiment, configs in zip(experiments, checked, strict=True):
        display.set_phase("")
        for note in _notes(experiment, options):
            display.print(note)
        with Interrupts() as interrupts:
            try:
                results = _run(experiment, configs, options, display, interrupts)
                code = max(code, conclude(results, display, logs, interrupted=interrupts.requested))
            except KeyboardInterrupt:
                stopped_at_once(experiment, display)
                raise
            finally:
                _close_trackers(interrupts.requested)
            if interrupts.requested:
                return 130
    return code


def _takes_only_networks(experiment: Experiment, start: str, directory: Path) -> bool:
    """Whether a run that starts from a path or name reads only networks, and unpickles nothing."""
    return bool(experiment.config.get("start_parts")) or is_name(start) or is_shared(directory)


def _notes(experiment: Experiment, options: RunOptions) -> Iterator[str]:
    yield from experiment.notes
    if experiment.algorithm == config_check.NAME and (size := smaller_size(experiment.config)):
        yield size
    yield from _foreign(experiment, options)


def _foreign(experiment: Experiment, options: RunOptions) -> Iterator[str]:
    """Yield a warning if the run continues what was not trained in its place."""
    start = options.from_checkpoint or experiment.config.get("start_checkpoint")
    if options.resume:
        continued = place = Path(experiment.directory())
    elif isinstance(start, str):
        continued = Path(start).expanduser().resolve()
        if _takes_only_networks(experiment, start, continued):
            return
        place = continued.parent.parent
    else:
        return
    if resume.is_from_elsewhere(place):
        yield (
            f"{continued} does not look like a run of this command in this place. Continuing it "
            "unpickles files, which can execute code: only continue runs that you trust."
        )


def _close_trackers(interrupted: bool) -> None:
    from rllib_cli.trackers import close_trackers

    close_trackers(interrupted)


def _check(experiment: Experiment, options: RunOptions) -> list[Any]:
    """Build RLlib's config for every point of the grid, as the trials will."""
    from ray.rllib.algorithms.registry import ALGORITHMS
    from ray.tune.search.variant_generator import generate_variants

    algorithm: Any = experiment.algorithm
    if isinstance(algorithm, str):
        if algorithm not in ALGORITHMS:
            raise unknown("algorithm", algorithm, ALGORITHMS)
        with reraise_as(InputError, options.verbosity):
            algorithm = ALGORITHMS[algorithm]()[0]
    if options.resume:
        resume.check(experiment, _launch(experiment, options))
    configs = []
    with reraise_as(InputError, options.verbosity):
        for _, variant in generate_variants(dict(experiment.config)):
            config = algorithm.get_default_config().update_from_dict(variant)
            config.validate()
            _check_stop(config, experiment.stop)
            configs.append(config)
    return configs


def _check_stop(config: Any, stop: Mapping[str, float]) -> None:
    """Raise ConfigError if a run that samples nothing would never end."""
    sampled = [name for name in stop if stop_criteria.needs_sampling(name)]
    if sampled and len(sampled) == len(stop) and getattr(config, "never_samples", False):
        raise ConfigError(
            f"{sampled[0]} is never reached, as this run trains from recorded data alone. Stop by "
            "updates, --stop '{\"num_grad_updates_lifetime\": 2000}', or set pretrain_updates to "
            "sample after so many updates."
        )


def _scheduler(options: RunOptions) -> Any:
    from ray.tune.schedulers import SCHEDULER_IMPORT, create_scheduler

    names = {**{name: name for name in SCHEDULER_IMPORT}, "asha": "async_hyperband"}
    if options.scheduler.lower() not in names:
        raise unknown("scheduler", options.scheduler, names)
    name = names[options.scheduler.lower()]
    given = dict(options.scheduler_config or {})
    accepted = inspect.signature(SCHEDULER_IMPORT[name]).parameters
    for key in given:
        # Tune would silently ignore an unknown one.
        if key not in accepted:
            raise unknown(f"option of scheduler {name}:", key, accepted)
    if "metric" in accepted:
        given = {"metric": TRAINING_RETURN, "mode": "max", **given}
        notes: list[str] = []
        given["metric"] = stop_criteria.current_name(given["metric"], notes)
    _check_needs(name, given)
    with reraise_as(InputError, options.verbosity):
        return create_scheduler(name, **given)


def _check_needs(scheduler: str, given: Mapping[str, Any]) -> None:
    """Raise InputError if a scheduler lacks a package, or what to change in the options."""
    if scheduler == "pb2" and find_spec("sklearn") is None:
        raise InputError(
            "--scheduler pb2 needs the package scikit-learn, which is not installed: "
            "pip install scikit-learn"
        )
    if scheduler in _CHANGES:
        key, example = _CHANGES[scheduler]
        if not given.get(key):
            raise InputError(
                f"--scheduler {scheduler} needs {key}, the options that it changes and their "
                f"values: --scheduler-config '{{\"{key}\": {example}}}'"
            )


def _run(
    experiment: Experiment,
    configs: list[Any],
    options: RunOptions,
    display: Display,
    interrupts: Interrupts,
) -> Any:
    import ray

    from rllib_cli.trackers import trackers
    from rllib_cli.tune_callback import command_callbacks
    from rllib_dreamerv3.plugin.cluster.resources import (
        check_resources,
        cpus_for_main_process,
        describe_request,
    )
    from rllib_dreamerv3.startup.devices import check_gpus

    cluster = ray.cluster_resources()
    # Trials then have the GPUs, memory and packages of this process.
    is_local = len(ray.nodes()) == 1
    with reraise_as(RunError, options.verbosity):
        for config in configs:
            check_resources(config, cluster, in_tune=True)
            if is_local:
                check_gpus(config.num_gpus_per_learner)
    # A simulator would allocate GPU memory in this process, and keep it.
    if is_local and not cluster.get("GPU"):
        _check_environments(experiment, configs, options, display)

    if (options.ray or {}).get("address") or configs[0].num_learners:
        each = "" if len(configs) * experiment.num_samples == 1 else "Each trial: "
        display.print(each + describe_request(configs[0], cluster, len(ray.nodes())))
    trials = len(configs) * experiment.num_samples
    space = dict(experiment.config)
    if trials == 1 and configs[0].num_learners == 0 and _main_process_is_default(configs[0]):
        # The learner is in the main process, and nothing else uses the CPUs.
        space["num_cpus_for_main_process"] = cpus_for_main_process(configs[0], _cpus_here())
    if options.from_checkpoint:
        space["start_checkpoint"] = options.from_checkpoint
    display.begin(experiment.stop, expected_trials=trials)
    with (
        reraise_as(RunError, options.verbosity),
        command_callbacks(display, interrupts, experiment, trackers(options.wandb, options.mlflow)),
    ):
        if options.resume:
            with full_disk_reported(experiment.directory()):
                return _restored_tuner(experiment, display).fit()
        if "://" not in experiment.storage_path:
            resume.save_launch(Path(experiment.directory()), _launch(experiment, options))
        with full_disk_reported(experiment.directory()):
            return _tuner(experiment, space, options).fit()


def _check_environments(
    experiment: Experiment, configs: list[Any], options: RunOptions, display: Display
) -> None:
    """Raise RunError if an environment cannot be used, InputError if replay does not fit."""
    from rllib_dreamerv3.plugin.before_trial import check_before_trial
    from rllib_dreamerv3.plugin.config.config import DreamerV3Config

    display.set_phase("checking the environment")
    directory = experiment.directory()
    local = None if "://" in directory else Path(directory)
    # The points of a grid usually share one environment.
    by_environment = {repr((config.env, config.env_config)): config for config in configs[::-1]}
    with reraise_as(RunError, options.verbosity):
        for config in by_environment.values():
            if not isinstance(config, DreamerV3Config):
                continue
            try:
                check_before_trial(config, local)
            except ConfigError as error:
                raise InputError(str(error)) from error
    display.set_phase("")


def _launch(experiment: Experiment, options: RunOptions) -> Any:
    return resume.launch_settings(experiment, options.scheduler, options.scheduler_config)


def _main_process_is_default(config: Any) -> bool:
    default = type(config)().num_cpus_for_main_process
    return bool(config.num_cpus_for_main_process == default)


def _cpus_here() -> float:
    """Ray's CPUs on this machine."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    return sum(node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["NodeID"] == here)


def _tuner(experiment: Experiment, space: dict[str, Any], options: RunOptions) -> Any:
    from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

    storage, _, name = experiment.directory().rpartition("/")
    return Tuner(
        experiment.algorithm,
        param_space=space,
        tune_config=TuneConfig(
            num_samples=experiment.num_samples,
            # A scheduler compares trials: one for each experiment.
            scheduler=_scheduler(options),
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


def _restored_tuner(experiment: Experiment, display: Display) -> Any:
    """Restore the experiment from disk; see ``resume.py``."""
    from ray.tune import ExperimentAnalysis, ResumeConfig, Tuner

    for note in resume.prepare(experiment):
        display.print(note)
    directory = experiment.directory()
    kinds = ResumeConfig.ResumeType
    trials = ExperimentAnalysis(directory).trials
    if all(trial.status == trial.TERMINATED for trial in trials):
        display.print("Every trial has reached its stop criterion; raise --stop to train longer.")
    return Tuner.restore(
        directory,
        experiment.algorithm,
        _resume_config=ResumeConfig(
            finished=kinds.SKIP, unfinished=kinds.RESUME, errored=kinds.RESUME
        ),
    )
