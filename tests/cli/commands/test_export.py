"""`rllib export`: what it says, and what it refuses."""

from pathlib import Path

import exported
import pytest
from click.testing import CliRunner

from rllib_cli.commands import export as exporting
from rllib_cli.main import cli
from rllib_dreamerv3.exporting import FORMATS, folder

pytestmark = pytest.mark.compiled


def export(*arguments):
    done = CliRunner().invoke(cli, ["export", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.fixture
def trial():
    """Results with a checkpoint of a policy for vectors."""
    path = Path("trial")
    path.mkdir()
    exported.write_checkpoint(path / "checkpoint_000000", *exported.SPACES["v1 vector, choice"])
    return path


def test_exports_the_newest_checkpoint_of_a_run(trial):
    code, output = export(trial, "--out", "mine", "--format", "savedmodel")
    assert code == 0, output
    assert "Exporting " in output
    assert "checkpoint_000000" in output
    assert "MB  mine/savedmodel" in output
    assert Path("mine/README.md").is_file()
    assert "Removed" not in output
    # What the folder had is replaced as a whole, and that is said.
    code, output = export(trial, "--out", "mine", "--format", "litert")
    assert code == 0, output
    assert "kB  mine/model.tflite" in output
    assert "Removed: savedmodel of an earlier export to mine." in output
    assert not Path("mine/savedmodel").exists()


def test_sizes_have_a_unit_in_which_they_are_seen():
    assert [exporting._format_size(x) for x in (40_000, 99_940, 100_000, 7_000_000)] == [
        "40.0 kB",
        "99.9 kB",
        "0.1 MB",
        "7.0 MB",
    ]


def test_misuse_is_reported():
    code, output = export("missing", "--out", "mine", "--format", "savedmodel")
    assert code == 1
    assert "There is no directory" in output
    code, output = export("missing", "--out", "mine", "--format", "tflite")
    assert code == 2
    assert "'tflite' is not" in output
    assert not Path("mine").exists()


def test_invalid_requests_are_reported_before_anything_is_loaded(trial, monkeypatch):
    def load(verbosity):
        raise AssertionError("must not be reached")

    monkeypatch.setattr(exporting, "loading_libraries", load)
    code, output = export(trial, "--out", "/proc/x", "--format", "savedmodel")
    assert (code, "/proc/x cannot be written: No such file" in output) == (1, True), output
    Path("notes").mkdir()
    Path("notes/diary.txt").write_text("mine")
    code, output = export(trial, "--out", "notes", "--format", "savedmodel")
    assert (code, "it holds 'diary.txt') and is not overwritten" in output) == (1, True), output
    assert [path.name for path in Path().glob("*mine*")] == []


def test_every_format_has_a_writer():
    assert tuple(folder._WRITERS) == FORMATS
