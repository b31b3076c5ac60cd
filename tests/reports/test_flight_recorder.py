"""What is found after a divergence."""

import csv
import json

import numpy as np
import pytest

from rllib_dreamerv3.checkpoints import tensors
from rllib_dreamerv3.reports.flight_recorder import MAX_RECORDINGS, FlightRecorder, not_finite

BATCH = {
    "obs/image": np.arange(48, dtype=np.uint8).reshape(2, 2, 2, 2, 3),
    "is_first": np.array([[True, False], [True, True]]),
    "reward": np.array([[1e30, 0.0], [-1.0, 2.5]], np.float32),
}
WEIGHTS = {"rssm/kernel": np.ones((2, 3), np.float32)}


def noted(updates):
    recorder = FlightRecorder()
    for update in range(1, updates + 1):
        loss = np.float32(np.nan if update == updates else 0.1 * update)
        recorder.note(update, 10 * update, {"loss": loss, "norm": np.float32(update)})
    return recorder


def test_recording_holds_batch_metrics_networks_and_names(tmp_path):
    path = noted(250).write(tmp_path / "diverged", BATCH, WEIGHTS, {"last_checkpoint": None})
    assert path == tmp_path / "diverged" / "update_00000250"
    with np.load(path / "batch.npz", allow_pickle=False) as batch:
        assert set(batch) == set(BATCH)
        for name, values in BATCH.items():
            np.testing.assert_array_equal(batch[name], values)
            assert batch[name].dtype == values.dtype
    rows = list(csv.DictReader((path / "metrics.csv").open()))
    assert [int(row["update"]) for row in rows] == list(range(151, 251))
    assert [int(row["env_steps"]) for row in rows] == list(range(1510, 2501, 10))
    np.testing.assert_allclose([float(row["norm"]) for row in rows], range(151, 251))
    assert [np.isfinite(float(row["loss"])) for row in rows] == [True] * 99 + [False]
    assert tensors.load(path / "networks.safetensors").keys() == WEIGHTS.keys()
    summary = json.loads((path / "summary.json").read_text())
    assert summary == {
        "update": 250,
        "env_steps": 2500,
        "not_finite": ["loss"],
        "last_checkpoint": None,
    }


def test_the_same_update_gets_new_directories_up_to_the_limit(tmp_path):
    recorder = noted(7)
    paths = []
    while not recorder.is_full(tmp_path):
        paths.append(recorder.write(tmp_path, BATCH, WEIGHTS, {}))
    assert [path.name for path in paths[:3]] == [
        "update_00000007",
        "update_00000007_2",
        "update_00000007_3",
    ]
    assert len(paths) == len(list(tmp_path.iterdir())) == MAX_RECORDINGS


def test_rest_is_written_where_the_networks_are_lost(tmp_path):
    path = noted(1).write(tmp_path, BATCH, {"rssm/kernel": np.array([np.inf], np.float32)}, {})
    assert {file.name for file in path.iterdir()} == {"batch.npz", "metrics.csv", "summary.json"}
    assert "rssm/kernel" in json.loads((path / "summary.json").read_text())["networks"]


def test_failed_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        noted(1).write(tmp_path, BATCH, WEIGHTS, {})
    assert not list(tmp_path.iterdir())


def test_infinite_and_undefined_numbers_are_named():
    metrics = {"a": np.float32(1), "b": np.float32(np.inf), "c": np.float32(np.nan)}
    assert not_finite(metrics) == ["b", "c"]
