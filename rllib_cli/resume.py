"""Resumes experiments from the checkpoints on disk, regardless of Tune's own files.

Tune saves its state every ten seconds, including decisions that it had not yet carried out. Here
each trial continues from its newest checkpoint that verifies: a new state file is written, from
which Tune restores the experiment.
"""

import json
import os
import pickle
import re
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
# Tune's other state: pickles of which it loads the newest, and what is lost without them.
_NO_NEW_TRIALS = "Tune starts no trials that it had not created before."
_OTHER_STATE = {
    "search_gen_state-*.json": _NO_NEW_TRIALS,
    "searcher-state-*.pkl": _NO_NEW_TRIALS,
    "callback_states-*.pkl": "Callbacks start without their saved state.",
}
TRIAL_FILE = "trial.json"
LAUNCH_FILE = "experiment.json"

_DAMAGED_PREFIX = ".damaged"
_STARTED_IN = "directory"
# Entries that must not change in a resumed run, and what users call them.
_FIXED = {
    "algorithm": "run",
    "config": "config",
    "num_samples": "num_samples",
    "max_failures": "max_failures",
    "max_concurrent_trials": "max_concurrent_trials",
    "time_budget_s": "time_budget_s",
    "scheduler": "--scheduler",
    "scheduler_config": "--scheduler-config",
}
_NOT_SET = "not set"
# Options that have no effect in a resumed run. `--parts` sets them, also for the first start.
_ONLY_AT_START = ("start_checkpoint", "start_parts")


def save_launch(directory: Path, launch: Mapping[str, Any]) -> None:
    """Save the settings of a new experiment, for comparison when it is resumed."""
    directory.mkdir(parents=True, exist_ok=True)
    content = {**launch, _STARTED_IN: str(directory)}
    _write(directory / LAUNCH_FILE, json.dumps(content, indent=1))


def is_from_elsewhere(directory: Path) -> bool:
    """Whether an experiment says of itself that it was started in another place, or nothing.

    That is no proof: who passes an experiment on can write what they like.
    """
    try:
        found = json.loads((directory / LAUNCH_FILE).read_text(encoding="utf-8"))
        return bool(found[_STARTED_IN] != str(directory))
    except (OSError, ValueError, TypeError, LookupError):
        return True


def launch_settings(
    experiment: Experiment, scheduler: str, options: Mapping[str, Any] | None
) -> Any:
    """The settings that :func:`save_launch` saves, as plain data."""
    launch = {
        "algorithm": experiment.algorithm_name,
        "config": dict(experiment.config),
        "num_samples": experiment.num_samples,
        "max_failures": experiment.max_failures,
        "max_concurrent_trials": experiment.max_concurrent_trials,
        "time_budget_s": experiment.time_budget_s,
        "scheduler": scheduler,
        "scheduler_config": dict(options or {}),
    }
    return json.loads(_without_addresses(json.dumps(launch, default=repr)))


def _without_addresses(text: str) -> str:
    """Remove memory addresses, which differ between processes, from the texts of functions."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def check_unchanged(directory: Path, launch: Mapping[str, Any]) -> None:
    """Compare settings with those of the experiment's start.

    Raises:
        InputError: If a setting differs that cannot change within a run; names the first one.
    """
    try:
        text = (directory / LAUNCH_FILE).read_text(encoding="utf-8")
        before = json.loads(_without_addresses(text))
    except (OSError, ValueError):
        return
    for key, name in _FIXED.items():
        old, new = (_without_start(launched.get(key)) for launched in (before, launch))
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            name, old, new = next(
                (f"{name}/{option}", old.get(option, _NOT_SET), new.get(option, _NOT_SET))
                for option in sorted({*old, *new})
                if old.get(option, _NOT_SET) != new.get(option, _NOT_SET)
            )
        raise InputError(
            f"{directory.name} was started with {name} {old!r}, not {new!r}. A resumed run keeps "
            "its settings: restore this one, or start a new run with --from-checkpoint."
        )


def _without_start(setting: Any) -> Any:
    if not isinstance(setting, dict):
        return setting
    return {name: x for name, x in setting.items() if name not in _ONLY_AT_START}


def save_trial_description(trial: Any) -> None:
    """Save a trial's description in its directory, in case Tune's state is lost."""
    directory = Path(trial.storage.trial_fs_path)
    if trial.storage.storage_filesystem.type_name == "local" and directory.is_dir():
        _write(directory / TRIAL_FILE, json.dumps(trial.get_json_state()))


def check(experiment: Experiment, launch: Mapping[str, Any]) -> None:
    """Check that an experiment can be resumed, without importing Ray.

    Args:
        experiment: The experiment with its current settings.
        launch: See :func:`launch_settings`.

    Raises:
        InputError: If there is nothing to resume, a setting changed that cannot, or the results
            are at a URI.
    """
    if "://" in experiment.directory():
        raise InputError(
            f"{experiment.directory()} cannot be resumed by this command. Copy it to this machine "
            "and name the copy with --storage-path, or start a new run with --from-checkpoint."
        )
    directory = Path(experiment.directory())
    if not directory.is_dir():
        raise InputError(f"There is no experiment in {directory} to resume.")
    check_unchanged(directory, launch)
    if not (directory / "tuner.pkl").is_file():
        raise InputError(
            f"{directory} cannot be resumed: it has no tuner.pkl, which Tune writes at the start. "
            "Start a new run with --from-checkpoint and one of its checkpoints."
        )


def prepare(experiment: Experiment) -> list[str]:
    """Prepare an experiment's directory for ``Tuner.restore``.

    Args:
        experiment: The experiment with its current settings.

    Returns:
        Messages for the user, e.g. about damaged checkpoints or several runs.

    Raises:
        InputError: If there is no trial to resume.
    """
    directory = Path(experiment.directory())
    notes: list[str] = []
    trials, runner_data, state_files = _trials(directory, notes)
    if not trials:
        raise InputError(
            f"{directory} has no trial to resume. Start a new run with "
            "--from-checkpoint if it has a checkpoint."
        )
    for trial in trials:
        _rewind(trial, directory, experiment, notes)
    _write_state(directory, trials, runner_data)
    for path in state_files:
        path.unlink()
    _remove_damaged_state(directory, notes)
    return notes


def _trials(directory: Path, notes: list[str]) -> tuple[list[Any], dict[str, Any], list[Path]]:
    """Read all trials from any file, Tune's data of the newest run, and its state files."""
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
        except Exception:  # A half-written pickle may raise anything.
            notes.append(f"{path.name} is damaged; using the trials' directories instead.")
    for path in sorted(directory.glob(f"*/{TRIAL_FILE}")):
        try:
            trial_json, metadata = json.loads(path.read_text(encoding="utf-8"))
            described.setdefault(json.loads(trial_json)["trial_id"], (trial_json, metadata))
        except ValueError:
            notes.append(f"{path} is damaged.")
    if len(runs) > 1 and set(described) not in runs:
        notes.append(f"{directory.name} has several runs: resuming the trials of all.")
    trials = []
    for trial_json, metadata in described.values():
        trial = Trial.from_json_state(trial_json)
        trial.restore_run_metadata(metadata)
        trials.append(trial)
    return trials, runner_data, files


def _remove_damaged_state(directory: Path, notes: list[str]) -> None:
    """Remove Tune's pickles that are incomplete: it would fail, instead of taking an older one."""
    from ray import cloudpickle

    for pattern, consequence in _OTHER_STATE.items():
        for path in sorted(directory.glob(pattern)):
            try:
                cloudpickle.loads(path.read_bytes())
            except (pickle.UnpicklingError, EOFError):
                path.unlink()
                notes.append(f"{path.name} is damaged; removed. {consequence}")


def _rewind(trial: Any, directory: Path, experiment: Experiment, notes: list[str]) -> None:
    """Set a trial to its newest complete checkpoint, or to its start."""
    from ray.train._internal.session import _TrainingResult
    from ray.tune import Checkpoint
    from ray.tune.experiment import Trial

    folder = directory / trial.relative_logdir
    numbers = [_number(path) for path in folder.glob(PATTERN)]
    complete: list[SavedCheckpoint] = []
    for saved in newest_first(folder):
        if saved.manifest is None:
            aside = saved.path.with_name(f"{_DAMAGED_PREFIX}_{saved.path.name}_{int(time.time())}")
            saved.path.rename(aside)
            notes.append(f"{saved.problem} Renamed to {aside.name}.")
        else:
            complete.insert(0, saved)
    results = _results_by_iteration(folder)
    manager = trial.run_metadata.checkpoint_manager
    manager._checkpoint_results = [
        _TrainingResult(Checkpoint(str(saved.path)), _metrics(saved, results)) for saved in complete
    ]
    last = manager._checkpoint_results[-1] if complete else None
    manager._latest_checkpoint_result = last
    if complete:
        notes.append(f"{folder.name} continues from {complete[-1].path.name}.")
    else:
        notes.append(f"{folder.name} has no complete checkpoint; restarting it.")
    # Numbers continue after those on disk, so that nothing is overwritten.
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
    """Whether a result meets any stop criterion."""
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
            continue  # The last line may be incomplete.
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
    # Pending decisions would end a trial after its first iteration.
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
    # The last by name, which is the one that Tune reads.
    path = directory / STATE_PATTERN.replace("*", f"{name}-resumed")
    _write(path, json.dumps(state, cls=TuneFunctionEncoder))


def _write(path: Path, text: str) -> None:
    """Replace a file atomically."""
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
