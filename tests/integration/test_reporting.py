"""Reports in results and in the trial's directory."""

import logging
from pathlib import Path

import fsspec
import imageio.v3 as imageio
import numpy as np
import pyarrow.fs
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from ray import tune
from tiny import tiny_config

from rllib_dreamerv3.reports.labelled_strips import LINE, MARGIN
from rllib_dreamerv3.reports.pictures import BORDER

PONG = "ale_py:ALE/Pong-v5"
LOSSES = ("total", "decoder", "reward", "continue", "dynamics", "representation")
ALL_REPORTS = {
    "report_images_and_videos": True,
    "report_dream_data": True,
    "report_individual_batch_item_stats": True,
}


@pytest.fixture
def results_of():
    """Runs a config for some iterations."""
    built = []

    def run(config, iterations):
        algorithm = config.build_algo()
        built.append(algorithm)
        return algorithm, [algorithm.train() for _ in range(iterations)]

    yield run
    for algorithm in built:
        algorithm.stop()


@pytest.mark.parametrize("variant", ["v1", pytest.param("v2", marks=pytest.mark.long)])
def test_all_reports_of_an_atari_game(results_of, variant):
    config = tiny_config(PONG, variant=variant).reporting(**ALL_REPORTS, report_frequency=2)
    algorithm, results = results_of(config, 3)
    for number, result in enumerate(results, 1):
        learner = result["learners"]["default_policy"]
        assert result["num_grad_updates_lifetime"] == number
        for name in LOSSES:
            losses = learner[f"WORLD_MODEL_L_{name}_B_T"]
            assert losses.shape == (2, 8)
            assert np.isfinite(losses).all()
        # Every second update, and in no result between.
        dreams = {key: len(x) for key, x in learner.items() if key.endswith("_per_step")}
        if number % 2:
            assert not dreams
            assert "reports" not in result
            continue
        assert dreams == {
            "DREAM_DATA_rewards_per_step": 4,
            "DREAM_DATA_continues_per_step": 4,
            "DREAM_DATA_values_per_step": 4,
            "DREAM_DATA_returns_per_step": 3,
        }
        directory = Path(algorithm.logdir)
        paths = {
            "open_loop_image": directory / "reports" / f"open_loop_{number:08d}.png",
            "dream_video": directory / "dreams" / f"{number:08d}.mp4",
        }
        assert result["reports"] == {name: str(path) for name, path in paths.items()}
        picture = imageio.imread(paths["open_loop_image"])
        assert len(picture) == LINE + 2 * (3 * 64 + 2 * BORDER) + LINE
        # The truth: Pong's picture is not of one colour.
        first = picture[LINE + BORDER :, MARGIN + BORDER :][:64, :64]
        assert np.unique(first).size > 2
        assert len(imageio.imread(paths["dream_video"])) == 8


def test_observations_without_images_are_plotted(results_of, caplog):
    config = tiny_config().reporting(**ALL_REPORTS, report_frequency=1)
    with caplog.at_level(logging.WARNING, logger="rllib_dreamerv3"):
        algorithm, (result,) = results_of(config, 1)
    assert not [r for r in caplog.records if "report_images_and_videos" in r.getMessage()]
    directory = Path(algorithm.logdir)
    path = directory / "dreams" / "00000001.png"
    assert result["reports"] == {"dream_plot": str(path)}
    assert np.unique(imageio.imread(path)).size > 2
    learner = result["learners"]["default_policy"]
    for ending in ("_B_T", "_per_step"):
        assert any(key.endswith(ending) for key in learner)
    assert not (directory / "reports").exists()


def test_pictures_that_cannot_be_written_end_no_run(results_of, caplog):
    config = tiny_config().reporting(report_images_and_videos=True, report_frequency=1)
    algorithm, _ = results_of(config, 0)
    Path(algorithm.logdir, "dreams").write_text("in the way")
    with caplog.at_level(logging.WARNING, logger="rllib_dreamerv3"):
        result = algorithm.train()
    assert "reports" not in result
    assert "The dream of update 1 could not be written to" in caplog.text


@pytest.mark.long
@pytest.mark.parametrize("filesystem", [None, "remote"])
def test_pictures_lie_in_the_directory_of_the_trial(tmp_path, filesystem):
    """Tune gives trials another working directory, which is thrown away."""
    if filesystem:
        filesystem = pyarrow.fs.PyFileSystem(
            pyarrow.fs.FSSpecHandler(DirFileSystem(str(tmp_path), fs=fsspec.filesystem("file")))
        )
    config = tiny_config().reporting(report_images_and_videos=True, report_frequency=1)
    run = tune.RunConfig(
        name="exp",
        storage_path="/results" if filesystem else str(tmp_path / "results"),
        storage_filesystem=filesystem,
        stop={"training_iteration": 1},
        verbose=0,
    )
    (result,) = tune.Tuner("DreamerV3", param_space=config, run_config=run).fit()
    plot = Path(result.metrics["reports"]["dream_plot"])
    trial = next((tmp_path / "results" / "exp").glob("DreamerV3_*/"))
    assert [x.name for x in (trial / "dreams").iterdir()] == [plot.name] == ["00000001.png"]
    assert plot.parent.parent.name == trial.name
