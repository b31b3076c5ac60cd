"""What a run's folder has for people, where something goes wrong or goes on."""

import json
import shutil
from pathlib import Path

from ray.train._internal.session import _TrainingResult
from ray.train._internal.storage import StorageContext
from ray.tune import Checkpoint
from ray.tune.experiment import Trial
from tensorboard_events import scalars_of
from written_run import result

from rllib_dreamerv3 import EnvStepsTBXLoggerCallback, RunFolderCallback

RETURN = "env_runners/episode_return_mean"


def test_a_picture_out_of_reach_ends_nothing(tmp_path, caplog):
    trial = made_trial(tmp_path, 0)
    callback = EnvStepsTBXLoggerCallback()
    callback.log_trial_start(trial)
    reports = {"open_loop_image": str(tmp_path / "another_nodes.png"), "dream_video": "x.mp4"}
    callback.log_trial_result(1, trial, {**result(50, 2.0), "reports": reports})
    callback.log_trial_end(trial)
    assert "another_nodes.png" in caplog.text
    assert scalars_of(Path(trial.local_path), f"ray/tune/{RETURN}") == [(50, 2.0)]


def made_trial(directory, number, stub=True):
    name = f"trial_{number}"
    storage = StorageContext(str(directory), experiment_dir_name="mine", trial_dir_name=name)
    trial = Trial("DreamerV3", config={"env": "CartPole-v1"}, storage=storage, stub=stub)
    trial.init_local_path()
    return trial


def write_earlier(trial, *steps):
    folder = Path(trial.storage.trial_fs_path)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(result(x, 1.0)) for x in steps]
    (folder / "result.json").write_text("\n".join([*lines, '{"cut o']))


def test_a_trial_that_goes_on_has_its_whole_curve(tmp_path):
    trial = made_trial(tmp_path, 0)
    write_earlier(trial, 100, 200, 300)
    saved = _TrainingResult(Checkpoint(str(tmp_path)), {})
    trial.run_metadata.checkpoint_manager._latest_checkpoint_result = saved
    callback = RunFolderCallback()
    callback.on_trial_start(0, [trial], trial)
    # It had been saved at 200.
    callback.on_trial_result(1, [trial], trial, result(250, 2.0))
    callback.on_trial_complete(2, [trial], trial)
    (curve,) = callback.curves
    assert curve.training.steps == [100, 200, 250]


def test_trials_that_had_ended_are_in_the_common_curve(tmp_path):
    ended, trial = made_trial(tmp_path, 0), made_trial(tmp_path, 1)
    write_earlier(ended, 100, 200)
    ended.set_status(Trial.TERMINATED)
    callback = RunFolderCallback()
    callback.on_trial_start(0, [ended, trial], trial)
    callback.on_trial_result(1, [ended, trial], trial, result(50, 2.0))
    callback.on_trial_complete(2, [ended, trial], trial)
    assert Path(trial.local_experiment_path, "curve.png").is_file()
    assert not Path(ended.local_path, "curve.png").exists()
    assert [curve.training.steps for curve in callback.curves] == [[100, 200], [50]]


def test_what_goes_wrong_is_logged_and_ends_nothing(tmp_path, caplog):
    trial = made_trial(tmp_path, 0, stub=False)
    Path(trial.local_path, "curve.png").mkdir()
    Path(trial.local_path, "config.yaml").mkdir()
    callback = RunFolderCallback()
    callback.on_trial_start(0, [trial], trial)
    callback.on_trial_result(1, [trial], trial, result(50, 2.0))
    callback.on_trial_error(2, [trial], trial)
    assert "curve.png could not be drawn" in caplog.text
    assert "config.yaml of DreamerV3" in caplog.text
    # Not even where the whole folder is gone.
    shutil.rmtree(trial.local_path)
    callback.on_trial_error(3, [trial], trial)


def test_curves_are_drawn_once_a_minute_at_most(tmp_path):
    trial = made_trial(tmp_path, 0)
    callback = RunFolderCallback()
    callback.on_trial_start(0, [trial], trial)
    for number in range(5):
        callback.on_trial_result(number, [trial], trial, result(number, 2.0))
    assert not Path(trial.local_path, "curve.png").exists()
    # An interrupted run is saved, and then ends without another word.
    callback.on_trial_save(5, [trial], trial)
    assert Path(trial.local_path, "curve.png").is_file()
