"""What the folder of a real run has for people."""

import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import yaml
from ray import tune
from tensorboard_events import events_of
from tiny import tiny_config

from rllib_dreamerv3 import (
    CompleteCSVLoggerCallback,
    DreamerV3,
    EnvStepsTBXLoggerCallback,
    RunFolderCallback,
)
from rllib_dreamerv3.reports.runs import find_runs

pytestmark = pytest.mark.long

ENV_STEPS = "num_env_steps_sampled_lifetime"


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


def test_seeds_are_found_again_as_one_group(results):
    runs = find_runs([Path(results.experiment_path)])
    assert [run.group for run in runs] == ["two", "two"]
    assert all(run.curve.training and run.curve.evaluation for run in runs)
    assert all(run.options["world_model_lr"] == 1e-4 for run in runs)


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
    rows = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
    with_dream = [each for each in rows if "reports" in each]
    assert len(with_dream) == 2
    pictures = [
        (step, image.encoded_image_string)
        for step, image in events_of(trial, "image", "reports/open_loop_image")
    ]
    assert [step for step, _ in pictures] == [each[ENV_STEPS] for each in with_dream]
    for (_, picture), each in zip(pictures, with_dream, strict=True):
        kept = imageio.imread(each["reports"]["open_loop_image"])
        np.testing.assert_array_equal(imageio.imread(picture), kept)
