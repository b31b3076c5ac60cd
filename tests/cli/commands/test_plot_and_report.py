"""``rllib plot`` and ``rllib report``."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from written_run import result, write_run

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


@pytest.mark.parametrize(("command", "file"), [("plot", "curve.png"), ("report", "report.html")])
def test_a_link_is_replaced_and_not_followed(experiment, command, file):
    Path("precious").write_text("mine")
    Path(file).symlink_to("precious")
    assert call(command, experiment).exit_code == 0
    assert Path("precious").read_text() == "mine"
    assert Path(file).is_file()


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
        ("plot", "x.svg", "--out must be a PNG file such as curve.png, not x.svg."),
        ("report", "x.pdf", "--out must be an HTML file such as report.html, not x.pdf."),
    ],
)
def test_other_kinds_of_files_are_refused(experiment, command, out, message):
    done = call(command, experiment, "--out", out)
    assert done.exit_code == 2
    assert message in done.output
