"""What a trial's directory says beside its results: the error that ended it."""

import os

import pytest
from written_run import result, write_run

from rllib_dreamerv3.reports.history import History
from rllib_dreamerv3.reports.trial_findings import ERROR_FILE, trial_findings

TRACEBACK = """Failure # 1 (occurred at 2026-01-01_00-00-00)
ray::DreamerV3.train() (pid=1, ip=127.0.0.1)
ValueError: the motor is stuck

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "faults.py", line 1, in step
    raise
rllib_dreamerv3.errors.EnvironmentFailedError: step() failed: ValueError: the motor is stuck
  File "motor.py", line 3, in step
"""


@pytest.fixture
def trial(tmp_path):
    return write_run(tmp_path / "trial", [result(100, 1.0), result(200, 2.0)])


def names(trial):
    return [finding.name for finding in trial_findings(trial, History.read(trial))]


def test_the_error_of_a_failed_run_is_the_first_finding(trial):
    before = names(trial)
    (trial / ERROR_FILE).write_text(TRACEBACK)
    found = trial_findings(trial, History.read(trial))
    assert [finding.name for finding in found] == ["The run has failed", *before]
    assert found[0].evidence.startswith("EnvironmentFailedError: step() failed: ValueError: the ")
    assert found[0].evidence.endswith('File "motor.py", line 3, in step')


def test_a_run_that_has_continued_has_not_failed(trial):
    (trial / ERROR_FILE).write_text(TRACEBACK)
    os.utime(trial / ERROR_FILE, (0, 0))
    assert "The run has failed" not in names(trial)


def test_an_empty_file_is_an_error_too(trial):
    (trial / ERROR_FILE).touch()
    (failure, *_) = trial_findings(trial, History.read(trial))
    assert failure.evidence == "error.txt is empty."


def test_long_errors_are_shortened(trial):
    (trial / ERROR_FILE).write_text(f"ValueError: {'x' * 5000}")
    (failure, *_) = trial_findings(trial, History.read(trial))
    assert len(failure.evidence) < 1100


@pytest.mark.parametrize("content", ["link", "pipe", "directory"])
def test_only_a_file_of_the_directory_is_read(trial, tmp_path, content):
    path, outside = trial / ERROR_FILE, tmp_path / "private"
    outside.write_text(TRACEBACK)
    if content == "link":
        path.symlink_to(outside)
    elif content == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert "The run has failed" not in names(trial)
