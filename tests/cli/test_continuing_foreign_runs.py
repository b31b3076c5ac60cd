"""Continuing a run unpickles its files: help and a warning say so."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from rllib_cli import resume
from rllib_cli.experiments import Experiment
from rllib_cli.main import cli
from rllib_cli.tune_run import RunOptions, _foreign
from rllib_dreamerv3.checkpoints.named import locate

WARNING = "unpickles files, which can execute code"


@pytest.fixture
def own():
    """An experiment that was started here, with a checkpoint."""
    experiment = Experiment("mine", "DreamerV3", {"env": "CartPole-v1"}, storage_path="results")
    directory = Path(experiment.directory())
    resume.save_launch(directory, resume.launch_settings(experiment, "fifo", None))
    (directory / "trial" / "checkpoint_000000").mkdir(parents=True)
    return experiment


def warned(experiment, **options):
    (*found,) = _foreign(experiment, RunOptions(**options))
    assert all(WARNING in each for each in found)
    return bool(found)


def test_own_runs_are_continued_without_a_word(own):
    checkpoint = f"{own.directory()}/trial/checkpoint_000000"
    assert not warned(own, resume=True)
    assert not warned(own, from_checkpoint=checkpoint)
    assert not warned(own.changed(name="next"))


@pytest.mark.parametrize("lost", [False, True])
def test_those_of_another_place_are_continued_with_a_warning(own, lost):
    if lost:
        Path(own.directory(), resume.LAUNCH_FILE).unlink()
    Path("results").rename("downloaded")
    moved = own.changed(storage_path="downloaded")
    checkpoint = f"{moved.directory()}/trial/checkpoint_000000"
    assert warned(moved, resume=True)
    assert warned(own, from_checkpoint=checkpoint)
    assert warned(
        Experiment("new", "DreamerV3", {"env": "CartPole-v1", "start_checkpoint": checkpoint})
    )


def test_policies_whose_networks_alone_are_read_need_no_warning(own):
    for name in ("pretrained:catch", "hf://me/catch", str(locate("pretrained:catch"))):
        assert not warned(own, from_checkpoint=name)


@pytest.mark.parametrize("command", [("train", "--help"), ("train", "file", "--help")])
def test_help_says_so(command):
    said = " ".join(CliRunner().invoke(cli, command).output.split())
    assert said.count("can execute code: only") == 2
