"""The state on disk replaces Tune's state of a run, without starting a process."""

import json
import os
import time
from pathlib import Path

import pytest
from ray import tune
from ray.train._internal.session import _TrainingResult
from ray.train._internal.storage import StorageContext
from ray.tune import ExperimentAnalysis, ResultGrid
from ray.tune.experiment import Trial
from ray.tune.utils.serialization import TuneFunctionEncoder

from rllib_cli import resume
from rllib_cli.display import open_display
from rllib_cli.errors import InputError
from rllib_cli.experiments import Experiment
from rllib_cli.summary import conclude, stopped_at_once
from rllib_dreamerv3.checkpoints import manifest


class Nothing(tune.Trainable):
    """What trials of these tests would run."""


@pytest.fixture(autouse=True)
def registered():
    tune.register_trainable("Nothing", Nothing)


def experiment(**changes) -> Experiment:
    said = {"stop": {"training_iteration": 100}, "storage_path": "results"}
    return Experiment("mine", "Nothing", {"env": "CartPole-v1"}, **{**said, **changes})


def make_trial(number: int = 0, run: str = "first") -> Trial:
    storage = StorageContext(str(Path("results").resolve()), "mine")
    trial = Trial("Nothing", trial_id=f"{run}_0000{number}", storage=storage)
    trial.create_placement_group_factory()
    trial.relative_logdir = trial.storage.trial_dir_name = trial.trial_id
    directory(trial).mkdir(parents=True)
    trial.set_status(Trial.RUNNING)
    return trial


def directory(trial: Trial) -> Path:
    return Path(trial.storage.trial_fs_path)


def save(trial: Trial, number: int) -> Path:
    """A whole checkpoint, of the iteration after its number."""
    path = directory(trial) / f"checkpoint_{number:06}"
    path.mkdir()
    (path / "data").write_bytes(b"1234")
    manifest.write(path, env_steps=10 * number, updates=number, iteration=number + 1)
    return path


def write_state(*trials: Trial, name: str = "2026-01-01_00-00-00", **runner_data) -> Path:
    """As Tune does."""
    state = {
        "trial_data": [trial.get_json_state() for trial in trials],
        "runner_data": runner_data,
        "stats": {"start_time": time.time()},
    }
    path = Path("results/mine") / f"experiment_state-{name}.json"
    path.write_text(json.dumps(state, cls=TuneFunctionEncoder))
    return path


def prepared(**changes) -> tuple[dict[str, Trial], dict, list[str]]:
    """Trials by id, and Tune's own data, as Tune reads them afterwards; and the notes."""
    notes = resume.prepare(experiment(**changes))
    (path,) = Path("results/mine").glob(resume.STATE_PATTERN)
    runner_data = json.loads(path.read_text())["runner_data"]
    trials = ExperimentAnalysis(experiment().directory()).trials
    return {trial.trial_id: trial for trial in trials}, runner_data, notes


def latest(trial: Trial) -> str:
    return os.path.basename(trial.latest_checkpoint_result.checkpoint.path)


def test_decisions_that_were_not_carried_out_are_forgotten():
    trial = make_trial()
    save(trial, 0)
    trial.set_status(Trial.ERROR)
    write_state(
        trial,
        _cached_trial_decisions={trial.trial_id: "STOP"},
        _queued_trial_decisions={trial.trial_id: "STOP"},
        _should_stop_experiment=True,
        _iteration=7,
    )
    trials, runner_data, _ = prepared()
    assert trials[trial.trial_id].status == Trial.PENDING
    assert runner_data["_cached_trial_decisions"] == runner_data["_queued_trial_decisions"] == {}
    assert runner_data["_should_stop_experiment"] is False
    assert runner_data["_iteration"] == 7


def test_checkpoints_that_tune_does_not_know_of_count():
    trial = make_trial()
    known = tune.Checkpoint(str(save(trial, 0)))
    trial.run_metadata.checkpoint_manager.register_checkpoint(
        _TrainingResult(known, {"training_iteration": 1})
    )
    write_state(trial)
    for number in (1, 2, 3):
        save(trial, number)
    (directory(trial) / "checkpoint_000003" / "data").write_bytes(b"123")
    (directory(trial) / "result.json").write_text(
        '{"training_iteration": 2, "time_total_s": 5.0}\n{"training_iteration": 3, "time_total'
    )
    trials, _, notes = prepared()
    trial = trials[trial.trial_id]
    assert latest(trial) == "checkpoint_000002"
    # Of its result half a line is there; the checkpoint itself knows how far it was.
    expected = {"training_iteration": 3, "num_env_steps_sampled_lifetime": 20}
    assert trial.last_result.items() >= expected.items()
    assert any("checkpoint_000003/data is damaged" in note for note in notes)
    # A number that was given to a damaged one is not given again.
    assert trial.storage.current_checkpoint_index == 3


@pytest.mark.parametrize("left", [0, 100, None])
def test_a_trial_is_found_without_tunes_state(left):
    trial = make_trial()
    save(trial, 0)
    resume.save_trial_description(trial)
    state = write_state(trial)
    if left is None:
        state.unlink()
    else:
        state.write_bytes(state.read_bytes()[:left])
    trials, _, notes = prepared()
    assert latest(trials[trial.trial_id]) == "checkpoint_000000"
    assert any("using the trials' directories" in x for x in notes) == (left is not None)


def test_all_runs_in_one_directory_go_on():
    first, second = make_trial(run="first"), make_trial(run="second")
    save(first, 4)
    save(second, 2)
    write_state(first, name="2026-01-01_00-00-00")
    write_state(second, name="2026-01-02_00-00-00")
    trials, _, notes = prepared()
    assert {key: latest(trial) for key, trial in trials.items()} == {
        first.trial_id: "checkpoint_000004",
        second.trial_id: "checkpoint_000002",
    }
    assert any("several runs: resuming the trials of all" in note for note in notes)


def test_a_trial_without_a_complete_checkpoint_restarts_and_a_finished_one_stays():
    none, finished, goes_on = (make_trial(number) for number in range(3))
    (save(none, 0) / "data").unlink()
    save(finished, 99)
    save(goes_on, 5)
    for trial in (none, finished, goes_on):
        trial.set_status(Trial.TERMINATED)
    write_state(none, finished, goes_on)
    trials, _, notes = prepared()
    statuses = [trials[trial.trial_id].status for trial in (none, finished, goes_on)]
    assert statuses == [Trial.PENDING, Trial.TERMINATED, Trial.PENDING]
    assert trials[none.trial_id].latest_checkpoint_result is None
    assert any("no complete checkpoint; restarting it" in note for note in notes)


def test_what_may_change_is_applied():
    trial = make_trial()
    save(trial, 49)
    write_state(trial)
    checkpoint = {"checkpoint_frequency": 7, "checkpoint_at_end": False, "num_to_keep": 5}
    trials, _, _ = prepared(stop={"training_iteration": 51}, checkpoint=checkpoint)
    trial = trials[trial.trial_id]
    assert trial.stopping_criterion == {"training_iteration": 51}
    assert (trial.checkpoint_freq, trial.checkpoint_at_end) == (7, False)
    assert trial.run_metadata.checkpoint_manager.checkpoint_config.num_to_keep == 5


@pytest.mark.parametrize(
    ("name", "value"), [("max_failures", 3), ("time_budget_s", 60), ("max_concurrent_trials", 2)]
)
def test_what_tune_takes_from_its_own_files_is_refused_by_name(name, value):
    before, changed = experiment(), experiment(**{name: value})
    resume.save_launch(Path(before.directory()), resume.launch_settings(before, "fifo", None))
    with pytest.raises(InputError, match=rf"started with {name} .*, not {value}\."):
        resume.check(changed, resume.launch_settings(changed, "fifo", None))


def test_resuming_is_advised_where_a_checkpoint_was_saved(capsys):
    trial = make_trial()
    with open_display(plain=True) as display:
        stopped_at_once(experiment(), display)
        without = capsys.readouterr().out
        saved = save(trial, 0)
        stopped_at_once(experiment(), display)
    assert "none was saved" in without
    assert "--resume" not in without
    reported = capsys.readouterr().out
    assert f"Checkpoint: {saved}" in reported
    assert "--resume" in reported


def test_a_damaged_checkpoint_is_not_named_at_the_end(capsys):
    trial = make_trial()
    whole, damaged = save(trial, 0), save(trial, 1)
    for path in (whole, damaged):
        trial.run_metadata.checkpoint_manager.register_checkpoint(
            _TrainingResult(tune.Checkpoint(str(path)), {"training_iteration": 1})
        )
    (damaged / "data").write_bytes(b"12")
    trial.set_status(Trial.TERMINATED)
    write_state(trial)
    results = ResultGrid(ExperimentAnalysis(experiment().directory()))
    with open_display(plain=True) as display:
        assert conclude(results, display, "logs", interrupted=False) == 0
    reported = capsys.readouterr().out
    assert f"Play it:    rllib evaluate {whole}" in reported
    assert damaged.name not in reported
