"""What a run's folder has for people: in real runs, and when something goes wrong."""

import csv
import json
import shutil
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tensorflow as tf
import yaml
from ray import tune
from ray.train._internal.session import _TrainingResult
from ray.train._internal.storage import StorageContext
from ray.tune import Checkpoint
from ray.tune.experiment import Trial
from tensorboardX.proto.event_pb2 import Event
from tiny import tiny_config
from written_run import result

from rllib_dreamerv3 import (
    CompleteCSVLoggerCallback,
    DreamerV3,
    EnvStepsTBXLoggerCallback,
    RunFolderCallback,
)
from rllib_dreamerv3.reports.runs import find_runs

ENV_STEPS = "num_env_steps_sampled_lifetime"
RETURN = "env_runners/episode_return_mean"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two seeds with evaluation."""
    config = tiny_config("CartPole-v1", num_steps_sampled_before_learning_starts=100)
    config.evaluation(evaluation_interval=2, evaluation_duration=1)
    config.debugging(seed=tune.grid_search([1, 2]))
    callbacks = [CompleteCSVLoggerCallback(), EnvStepsTBXLoggerCallback(), RunFolderCallback()]
    return tune.Tuner(
        DreamerV3,
        param_space=config,
        run_config=tune.RunConfig(
            name="two",
            storage_path=str(tmp_path_factory.mktemp("results")),
            stop={"training_iteration": 4},
            callbacks=callbacks,
            verbose=0,
        ),
    ).fit()


def rows_of(trial):
    with open(trial / "progress.csv", newline="") as file:
        return list(csv.DictReader(file))


def events_of(trial, kind, tag):
    """Step and value of everything of a kind under a tag, one events file a trial."""
    (file,) = trial.glob("events.out.tfevents.*")
    found = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        event = Event.FromString(record)
        found += [(event.step, getattr(x, kind)) for x in event.summary.value if x.tag == tag]
    return found


def scalars_of(trial, tag):
    return events_of(trial, "simple_value", tag)


@pytest.mark.slow
def test_every_folder_can_be_read(results):
    assert not results.errors
    assert Path(results.experiment_path, "curve.png").read_bytes().startswith(b"\x89PNG")
    for each in results:
        trial = Path(each.path)
        assert (trial / "curve.png").read_bytes().startswith(b"\x89PNG")
        config = yaml.safe_load((trial / "config.yaml").read_text())
        assert config["changed"]["seed"] == each.config["seed"]
        assert config["options"]["model_size"] == "nano"
        assert config["options"]["world_model_lr"] == 1e-4
        assert not list(trial.glob(".*"))


@pytest.mark.slow
def test_the_table_begins_with_env_steps(results):
    for each in results:
        rows = rows_of(Path(each.path))
        assert next(iter(rows[0])) == ENV_STEPS
        steps = [float(row[ENV_STEPS]) for row in rows]
        assert steps == sorted(steps)
        assert {RETURN, f"evaluation/{RETURN}"} <= set(rows[0])


@pytest.mark.slow
def test_events_are_by_env_steps(results):
    for each in results:
        rows = rows_of(Path(each.path))
        expected = [(int(float(row[ENV_STEPS])), float(row[RETURN])) for row in rows if row[RETURN]]
        assert len(expected) >= 3
        assert scalars_of(Path(each.path), f"ray/tune/{RETURN}") == [
            (step, pytest.approx(value, rel=1e-5)) for step, value in expected
        ]


@pytest.mark.slow
def test_seeds_are_found_again_as_one_group(results):
    runs = find_runs([Path(results.experiment_path)])
    assert [run.group for run in runs] == ["two", "two"]
    assert all(run.curve.training and run.curve.evaluation for run in runs)
    assert all(run.options["world_model_lr"] == 1e-4 for run in runs)


@pytest.mark.slow
def test_dreams_are_images_of_the_events(tmp_path):
    config = tiny_config("Catch-v0").reporting(report_images_and_videos=True, report_frequency=2)
    results = tune.Tuner(
        DreamerV3,
        param_space=config,
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            stop={"training_iteration": 4},
            callbacks=[EnvStepsTBXLoggerCallback()],
            verbose=0,
        ),
    ).fit()
    (trial,) = [Path(each.path) for each in results]
    told = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
    dreamt = [each for each in told if "reports" in each]
    assert len(dreamt) == 2
    pictures = [
        (step, image.encoded_image_string)
        for step, image in events_of(trial, "image", "reports/open_loop_image")
    ]
    assert [step for step, _ in pictures] == [each[ENV_STEPS] for each in dreamt]
    for (_, picture), each in zip(pictures, dreamt, strict=True):
        kept = imageio.imread(each["reports"]["open_loop_image"])
        np.testing.assert_array_equal(imageio.imread(picture), kept)


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
