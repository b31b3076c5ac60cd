"""Arrays come back as they were, and never with numbers that would destroy a network."""

import os
from pathlib import Path

import numpy as np
import pytest

from rllib_dreamerv3.checkpoints import tensors
from rllib_dreamerv3.errors import CheckpointError


def test_round_trip(tmp_path: Path):
    arrays = {
        "networks/kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "count": np.int64(7),
        "scale": np.float32(0.5),
        "empty": np.zeros((0, 3), np.float16),
        "flags": np.array([True, False]),
        "bytes": np.arange(4, dtype=np.uint8),
    }
    tensors.save(tmp_path / "new" / "a.safetensors", arrays)
    loaded = tensors.load(tmp_path / "new" / "a.safetensors")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_neither_saved_nor_loaded(
    tmp_path: Path, bad: float, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a.safetensors"
    arrays = {"fine": np.zeros(2, np.float32), "actor/bias": np.float32([1, bad])}
    with pytest.raises(CheckpointError, match=r"'actor/bias' is not finite"):
        tensors.save(path, arrays)
    assert not path.exists()
    with monkeypatch.context() as unchecked:
        unchecked.setattr(tensors, "require_finite", lambda *_: None)
        tensors.save(path, arrays)
    with pytest.raises(CheckpointError, match=r"'actor/bias' is not finite.*not loaded"):
        tensors.load(path)


def test_damaged_and_missing_files_are_named(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match=r"a\.safetensors is missing"):
        tensors.load(path)
    tensors.save(path, {"x": np.zeros(100)})
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged"):
        tensors.load(path)


def test_others_may_read_a_file_as_far_as_the_umask_says(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    before = os.umask(0o027)
    try:
        tensors.save(path, {"x": np.zeros(1)})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_damaged_exported_policy_must_be_exported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "policy.json").write_text('{"format": "rllib_dreamerv3.exported_policy"}')
    path = tmp_path / "networks.safetensors"
    with pytest.raises(CheckpointError, match=r"is missing\. Export the policy again"):
        tensors.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"is damaged.*Export the policy again"):
        tensors.load(path)
    with monkeypatch.context() as unchecked:
        unchecked.setattr(tensors, "require_finite", lambda *_: None)
        tensors.save(path, {"x": np.float32([np.nan])})
    with pytest.raises(CheckpointError, match="export the policy of an earlier checkpoint"):
        tensors.load(path)
