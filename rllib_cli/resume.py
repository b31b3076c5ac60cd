"""Goes on with runs from what is on disk, whatever state Tune's own files are in.

Tune writes its state every ten seconds, and with it decisions that were never carried out. What
counts here are the checkpoints: each trial goes on from its newest one that verifies. For that a
new state file is written, from which Tune then restores the experiment.
"""

import json
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rllib_cli.errors import InputError
from rllib_cli.experiments import Experiment
from rllib_cli.progress import look_up
from rllib_dreamerv3.checkpoints.runs import PATTERN, SavedCheckpoint, newest_first

STATE_PATTERN = "experiment_state-*.json"
TRIAL_FILE = "trial.json"
SAID_FILE = "experiment.json"

_ASIDE = ".damaged"
# What is compared with the run that is resumed, and how people call it.
_COMPARED = {
    "algorithm": "run",
    "config": "config",
    "num_samples": "num_samples",
    "max_failures": "max_failures",
    "max_concurrent_trials": "max_concurrent_trials",
    "time_budget_s": "time_budget_s",
    "scheduler": "--scheduler",
    "scheduler_config": "--scheduler-config",
}


def write_said(directory: Path, said: Mapping[str, Any]) -> None:
    """Keeps what an experiment was begun with, to compare with when it is resumed."""
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / SAID_FILE, json.dumps(said, indent=1, default=repr))


def said_by(experiment: Experiment, scheduler: str, options: Mapping[str, Any] | None) -> Any:
    """What :func:`write_said` keeps, as plain data."""
    said = {
        "algorithm": experiment.algorithm_name,
        "config": dict(experiment.config),
        "num_samples": experiment.num_samples,
        "max_failures": experiment.max_failures,
        "max_concurrent_trials": experiment.max_concurrent_trials,
        "time_budget_s": experiment.time_budget_s,
        "scheduler": scheduler,
        "scheduler_config": dict(options or {}),
    }
    return json.loads(json.dumps(said, default=repr))


def refuse_changes(directory: Path, said: Mapping[str, Any]) -> None:
    """Compares what is said now with what the experiment was begun with.

    Raises:
        InputError: If an option differs that cannot be changed in a run; names the first.
    """
    try:
        before = json.loads((directory / SAID_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for key, name in _COMPARED.items():
        old, new = before.get(key), said.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            name, old, new = next(
                (f"{name}/{option}", old.get(option), new.get(option))
                for option in sorted({*old, *new})
                if old.get(option) != new.get(option)
            )
        raise InputError(
            f"{directory.name} was begun with {name} {old!r}, and is told {new!r} now. A run goes "
            "on as it began: put it back, or start a new run with --from-checkpoint."
        )


def keep_trial(trial: Any) -> None:
    """Keeps a copy of a trial's description in its own directory, for when Tune's state is lost."""
    directory = Path(trial.storage.trial_fs_path)
    if trial.storage.storage_filesystem.type_name == "local" and directory.is_dir():
        _write(directory / TRIAL_FILE, json.dumps(trial.get_json_state()))


def check(experiment: Experiment, said: Mapping[str, Any]) -> None:
    """Checks that an experiment can be resumed, as far as that needs no Ray.

    Args:
        experiment: The experiment as it is described now.
        said: See :func:`said_by`.

    Raises:
        InputError: If there is nothing to go on with, or an option was changed that cannot be.
    """
    directory = Path(experiment.directory())
    if not directory.is_dir():
        raise InputError(f"There is no experiment in {directory} that could be resumed.")
    refuse_changes(directory, said)
    if not (directory / "tuner.pkl").is_file():
        raise InputError(
            f"{directory} cannot be resumed: it has no tuner.pkl, which Tune writes first. Start a "
            "new run with --from-checkpoint and one of its checkpoints."
        )


def prepare(experiment: Experiment) -> list[str]:
    """Makes an experiment's directory ready for ``Tuner.restore``.

    Args:
        experiment: The experiment as it is described now.

    Returns:
        What users should know of: steps back, several runs that were found.

    Raises:
        InputError: If there is no trial to go on with.
    """
    directory = Path(experiment.directory())
    notes: list[str] = []
    trials, runner_data, state_files = _trials(directory, notes)
    if not trials:
        raise InputError(
            f"{directory} holds no trial that could be resumed. Start a new run with "
            "--from-checkpoint if it has a checkpoint."
        )
    for trial in trials:
        _set_back(trial, directory, experiment, notes)
    _write_state(directory, trials, runner_data)
    for path in state_files:
        path.unlink()
    return notes


def _trials(directory: Path, notes: list[str]) -> tuple[list[Any], dict[str, Any], list[Path]]:
    """All trials that any file tells of, Tune's own data of the newest run, and the files."""
    from ray.tune.experiment import Trial
    from ray.tune.utils.serialization import _loads_with_cloudpickle

    described: dict[str, tuple[str, str]] = {}
    runner_data: dict[str, Any] = {}
    files = sorted(directory.glob(STATE_PATTERN))
    runs: set[frozenset[str]] = set()
    for path in files:
        try:
            state = _loads_with_cloudpickle(path.read_bytes())
            found = {json.loads(pair[0])["trial_id"]: tuple(pair) for pair in state["trial_data"]}
            described |= found
            runner_data = state["runner_data"]
            runs.add(frozenset(found))
        except Exception:  # Whatever a half-written pickle raises.
            notes.append(f"{path.name} is damaged; going by the trials' own directories.")
    for path in sorted(directory.glob(f"*/{TRIAL_FILE}")):
        try:
            trial_json, metadata = json.loads(path.read_text(encoding="utf-8"))
            described.setdefault(json.loads(trial_json)["trial_id"], (trial_json, metadata))
        except ValueError:
            notes.append(f"{path} is damaged.")
    if len(runs) > 1 and set(described) not in runs:
        notes.append(f"{directory.name} holds several runs: all their trials go on.")
    trials = []
    for trial_json, metadata in described.values():
        trial = Trial.from_json_state(trial_json)
        trial.restore_run_metadata(metadata)
        trials.append(trial)
    return trials, runner_data, files


def _set_back(trial: Any, directory: Path, experiment: Experiment, notes: list[str]) -> None:
    """Lets a trial go on from its newest whole checkpoint, or from the beginning."""
    from ray.train._internal.session import _TrainingResult
    from ray.tune import Checkpoint
    from ray.tune.experiment import Trial

    folder = directory / trial.relative_logdir
    numbers = [_number(path) for path in folder.glob(PATTERN)]
    whole: list[SavedCheckpoint] = []
    for saved in newest_first(folder):
        if saved.manifest is None:
            aside = saved.path.with_name(f"{_ASIDE}_{saved.path.name}_{int(time.time())}")
            saved.path.rename(aside)
            notes.append(f"{saved.problem} It is {aside.name} now.")
        else:
            whole.insert(0, saved)
    results = _results_by_iteration(folder)
    manager = trial.run_metadata.checkpoint_manager
    manager._checkpoint_results = [
        _TrainingResult(Checkpoint(str(saved.path)), _metrics(saved, results)) for saved in whole
    ]
    last = manager._checkpoint_results[-1] if whole else None
    manager._latest_checkpoint_result = last
    if whole:
        notes.append(f"{folder.name} goes on from {whole[-1].path.name}.")
    else:
        notes.append(f"{folder.name} has no whole checkpoint and begins anew.")
    # Above everything that is on disk: nothing is ever written over.
    trial.storage.current_checkpoint_index = max(numbers, default=-1)
    trial.run_metadata.last_result = dict(last.metrics) if last else {}
    trial.run_metadata.error_filename = trial.run_metadata.pickled_error_filename = None
    reached = last is not None and has_reached(last.metrics, experiment.stop)
    trial.set_status(Trial.TERMINATED if reached else Trial.PENDING)
    if experiment.stop:
        trial.stopping_criterion = dict(experiment.stop)
    from ray.tune import CheckpointConfig

    manager._checkpoint_config = CheckpointConfig(**experiment.tune_checkpoint_config())
    trial.run_metadata.invalidate_cache()
    trial.invalidate_json_state()


def has_reached(result: Mapping[str, Any], stop: Mapping[str, float]) -> bool:
    """Whether a result meets any of the stop criteria."""
    return any(
        (value := look_up(result, name)) is not None and value >= number
        for name, number in stop.items()
    )


def _results_by_iteration(folder: Path) -> dict[int, dict[str, Any]]:
    results: dict[int, dict[str, Any]] = {}
    try:
        lines = (folder / "result.json").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return results
    for line in lines:
        try:
            result = json.loads(line)
            results[int(result["training_iteration"])] = result
        except (ValueError, KeyError, TypeError):
            continue  # A line that was being written when the process ended.
    return results


def _metrics(saved: SavedCheckpoint, results: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    assert saved.manifest is not None
    iteration = saved.manifest.iteration
    return results.get(iteration) or {
        "training_iteration": iteration,
        "num_env_steps_sampled_lifetime": saved.manifest.env_steps,
    }


def _write_state(directory: Path, trials: list[Any], runner_data: dict[str, Any]) -> None:
    from ray.tune.utils.serialization import TuneFunctionEncoder

    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    # Decisions that were not carried out would end a trial after its first iteration.
    data = {
        **runner_data,
        "_cached_trial_decisions": {},
        "_queued_trial_decisions": {},
        "_should_stop_experiment": False,
    }
    data.setdefault("_session_str", name)
    data.setdefault("_start_time", time.time())
    state = {
        "trial_data": [trial.get_json_state() for trial in trials],
        "runner_data": data,
        "stats": {"start_time": data["_start_time"]},
    }
    # Newest by name, which is how Tune chooses.
    path = directory / STATE_PATTERN.replace("*", f"{name}-resumed")
    _write(path, json.dumps(state, cls=TuneFunctionEncoder))


def _write(path: Path, text: str) -> None:
    """Replaces a file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _number(path: Path) -> int:
    digits = path.name.rpartition("_")[2]
    return int(digits) if digits.isdigit() else -1
