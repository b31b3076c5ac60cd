"""`rllib export`: what it says, and what it refuses."""

from pathlib import Path

import exported
from click.testing import CliRunner

from rllib_cli.commands.export import FORMATS
from rllib_cli.main import cli
from rllib_dreamerv3.exporting import folder


def export(*arguments):
    done = CliRunner().invoke(cli, ["export", *map(str, arguments)])
    return done.exit_code, done.output


def test_exports_the_newest_checkpoint_of_a_run():
    trial = Path("trial")
    trial.mkdir()
    exported.write_checkpoint(trial / "checkpoint_000000", *exported.SPACES["v1 vector, choice"])
    code, output = export(trial, "--out", "mine", "--format", "savedmodel")
    assert code == 0, output
    assert "Exporting " in output
    assert "checkpoint_000000" in output
    assert "MB  mine/savedmodel" in output
    assert Path("mine/README.md").is_file()


def test_misuse_is_told():
    code, output = export("missing", "--out", "mine", "--format", "savedmodel")
    assert code == 1
    assert "There is no directory" in output
    code, output = export("missing", "--out", "mine", "--format", "tflite")
    assert code == 2
    assert "'tflite' is not" in output
    assert not Path("mine").exists()


def test_the_grammar_knows_all_formats():
    assert FORMATS == folder.FORMATS
