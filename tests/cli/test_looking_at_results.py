"""``rllib plot`` and ``rllib report``, and the services that results are handed over to."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from written_run import result, write_run

from rllib_cli import tracking
from rllib_cli.main import cli


def call(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def experiment(tmp_path):
    for seed in (1, 2):
        results = [result(x, x / 100, config={"seed": seed}) for x in (100, 200)]
        write_run(tmp_path / "mine" / f"trial_0000{seed}_x", results, {"seed": seed})
    return tmp_path / "mine"


@pytest.mark.parametrize("by", [(), ("--by", "time")])
def test_plot(experiment, by):
    done = call("plot", experiment, *by, "--out", "pictures/new.png")
    assert (done.exit_code, done.output) == (0, "pictures/new.png\n")
    assert Path("pictures/new.png").read_bytes().startswith(b"\x89PNG")


def test_report(experiment):
    done = call("report", experiment, "--out", "new.html")
    assert (done.exit_code, done.output) == (0, "new.html\n")
    page = Path("new.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "mine, 00001, seed=1" in page


@pytest.mark.parametrize("command", ["plot", "report"])
def test_what_has_no_results_is_named(command):
    Path("empty").mkdir()
    done = call(command, "empty")
    assert done.exit_code == 2
    assert "There is no result.json in empty" in done.output
    assert call(command).exit_code == 2


@pytest.mark.parametrize(
    ("command", "out", "message"),
    [
        ("plot", "x.svg", "--out has to be a PNG file such as curve.png, not x.svg."),
        ("report", "x.pdf", "--out has to be an HTML file such as report.html, not x.pdf."),
    ],
)
def test_other_kinds_of_files_are_refused(experiment, command, out, message):
    done = call(command, experiment, "--out", out)
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(("option", "package"), [("--wandb", "wandb"), ("--mlflow", "mlflow")])
def test_a_service_needs_its_package_and_a_name(option, package):
    train = ("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--storage-path", "results")
    done = call(*train, option, " ")
    assert done.exit_code == 2
    assert f"{option} needs a name" in done.output
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    done = call(*train, option, "mine")
    assert done.exit_code == 2
    assert f"{option} needs the package {package}" in done.output
    assert f"pip install {package}" in done.output
    assert not Path("results").exists()


def test_services_are_rays_own_callbacks(monkeypatch):
    for name in ("WANDB_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "of another run")
    wandb, mlflow = tracking.trackers("project", "experiment")
    assert issubclass(wandb, WandbLoggerCallback)
    assert issubclass(mlflow, MLflowLoggerCallback)
    # Where those two look when Tune makes them without arguments.
    assert os.environ["WANDB_PROJECT_NAME"] == "project"
    assert os.environ["MLFLOW_EXPERIMENT_NAME"] == "experiment"
    assert tracking.trackers(None, None) == []
