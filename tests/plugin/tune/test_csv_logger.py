"""The table of results that keeps all columns, on trials of Tune."""

import csv
from pathlib import Path

import pytest
from ray.air.constants import EXPR_PROGRESS_FILE
from ray.train._internal.storage import StorageContext
from ray.tune.experiment import Trial

from rllib_dreamerv3 import CompleteCSVLoggerCallback


@pytest.fixture
def trial(tmp_path):
    storage = StorageContext(str(tmp_path), experiment_dir_name="mine", trial_dir_name="trial")
    trial = Trial("DreamerV3", stub=True, storage=storage)
    trial.init_local_path()
    return trial


def table(trial):
    with open(Path(trial.local_path, EXPR_PROGRESS_FILE), newline="") as file:
        return list(csv.reader(file))


def test_columns_that_come_later_are_empty_before_and_after(trial):
    logger = CompleteCSVLoggerCallback()
    logger.log_trial_result(1, trial, {"a": 1, "config": {"b": 2}})
    logger.log_trial_result(2, trial, {"c": {"d": 3}, "a": 4})
    logger.log_trial_result(3, trial, {"e": "x,\ny", "a": 5})
    logger.log_trial_end(trial)
    expected = [["a", "c/d", "e"], ["1", "", ""], ["4", "3", ""], ["5", "", "x,\ny"]]
    assert table(trial) == expected
    assert [path.name for path in Path(trial.local_path).iterdir()] == [EXPR_PROGRESS_FILE]


@pytest.mark.parametrize("cut", [b"5,6", b"5,", b'5,"x\n', b'"x'])
def test_a_file_is_continued_without_the_row_that_was_cut_off(trial, cut):
    path = Path(trial.local_path, EXPR_PROGRESS_FILE)
    path.write_bytes(b"a,b\r\n1,2\r\n3,4\r\n" + cut)
    logger = CompleteCSVLoggerCallback()
    # Another order, and one more.
    logger.log_trial_result(1, trial, {"c": 9, "b": 8, "a": 7})
    assert table(trial) == [["a", "b", "c"], ["1", "2", ""], ["3", "4", ""], ["7", "8", "9"]]


def test_long_cells_are_kept(trial):
    logger = CompleteCSVLoggerCallback()
    logger.log_trial_result(1, trial, {"a": "1" * 200_000})
    logger.log_trial_result(2, trial, {"b": 2})
    assert Path(trial.local_path, EXPR_PROGRESS_FILE).stat().st_size > 200_000
