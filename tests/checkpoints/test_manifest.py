"""Every change of a file is detected, and reported with the file's name."""

import json
import random
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest
import xxhash

from rllib_dreamerv3.checkpoints import files, manifest
from rllib_dreamerv3.errors import CheckpointError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    directory = tmp_path / "checkpoint"
    (directory / "a" / "b").mkdir(parents=True)
    (directory / "one.bin").write_bytes(bytes(range(256)) * 10)
    (directory / "a" / "b" / "two.json").write_text(json.dumps({"x": 1}))
    (directory / "empty").write_bytes(b"")
    manifest.write(directory, env_steps=12, updates=3)
    return directory


def test_a_whole_checkpoint_verifies(checkpoint: Path):
    found = manifest.verify(checkpoint)
    assert found == manifest.read(checkpoint)
    assert (found.env_steps, found.updates) == (12, 3)
    assert set(found.files) == {"one.bin", "a/b/two.json", "empty"}
    one = (checkpoint / "one.bin").read_bytes()
    assert found.files["one.bin"] == (len(one), xxhash.xxh3_128_hexdigest(one))
    assert found.format_version == manifest.FORMAT_VERSION
    assert found.package_version == version("rllib-dreamerv3")
    assert datetime.fromisoformat(found.created).tzinfo is not None
    assert manifest.is_checkpoint(checkpoint)
    assert not manifest.is_checkpoint(checkpoint / "a")


def test_any_flipped_bit_is_noticed(checkpoint: Path):
    rng = random.Random(0)
    for path in [checkpoint / "one.bin", checkpoint / "a/b/two.json", checkpoint / "manifest.json"]:
        original = path.read_bytes()
        for _ in range(60):
            changed = bytearray(original)
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            with pytest.raises(CheckpointError) as error:
                manifest.verify(checkpoint)
            assert path.name in str(error.value)
        path.write_bytes(original)
    manifest.verify(checkpoint)


@pytest.mark.parametrize("name", ["one.bin", "a/b/two.json", "manifest.json"])
def test_truncation_and_loss_are_noticed(checkpoint: Path, name: str):
    path = checkpoint / name
    original = path.read_bytes()
    for length in (0, 1, len(original) // 2, len(original) - 1):
        path.write_bytes(original[:length])
        with pytest.raises(CheckpointError, match=name):
            manifest.verify(checkpoint)
    path.unlink()
    with pytest.raises(CheckpointError, match=name):
        manifest.verify(checkpoint)


def test_only_what_is_going_to_be_read_need_be_whole(checkpoint: Path):
    (checkpoint / "one.bin").write_bytes(b"")
    manifest.verify(checkpoint, only=["a/b/two.json"])
    with pytest.raises(CheckpointError, match=r"one\.bin"):
        manifest.verify(checkpoint, only=["one.bin"])
    with pytest.raises(CheckpointError, match=r"does not list three"):
        manifest.verify(checkpoint, only=["three"])


def test_files_of_others_do_not_matter(checkpoint: Path):
    (checkpoint / ".is_checkpoint").write_text("")
    manifest.verify(checkpoint)


def test_a_newer_format_is_reported(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(manifest, "FORMAT_VERSION", 99)
    manifest.write(checkpoint, env_steps=1, updates=1)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format version 99"):
        manifest.read(checkpoint)


def test_other_directories_are_recognised(tmp_path: Path):
    with pytest.raises(CheckpointError, match="no directory"):
        manifest.read(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"has no manifest\.json"):
        manifest.read(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(CheckpointError, match="does not describe"):
        manifest.read(tmp_path)


def test_a_checkpoint_is_no_exported_policy(checkpoint: Path):
    assert not manifest.is_exported(checkpoint)


def test_folder_whose_manifest_only_mentions_the_format_is_no_checkpoint(tmp_path: Path):
    for text in (
        json.dumps({"notes": "see rllib_dreamerv3.checkpoint"}),
        json.dumps(["rllib_dreamerv3.checkpoint"]),
        "rllib_dreamerv3.checkpoint",
    ):
        (tmp_path / "manifest.json").write_text(text)
        assert not manifest.is_checkpoint(tmp_path)
        assert manifest.files_of_checkpoint(tmp_path) is None
    (tmp_path / "policy.json").write_text('{"see": "rllib_dreamerv3.exported_policy"}')
    assert not manifest.is_exported(tmp_path)
    assert manifest.files_of_exported(tmp_path) is None


def test_only_what_was_written_may_be_replaced(checkpoint: Path):
    (checkpoint / "notes.txt").write_text("mine")
    own = {"one.bin", "a/b/two.json", "empty", "manifest.json"}
    assert manifest.files_of_checkpoint(checkpoint) == own


@pytest.mark.parametrize("damage", ["", None])
def test_whose_files_are_whose_is_unknown_without_the_manifest(
    checkpoint: Path, damage: str | None
):
    networks = checkpoint / files.NETWORKS_FILE
    networks.parent.mkdir(parents=True)
    networks.touch()
    if damage is None:
        (checkpoint / "manifest.json").unlink()
    else:
        (checkpoint / "manifest.json").write_text(damage)
    assert manifest.is_checkpoint(checkpoint)
    with pytest.raises(CheckpointError, match=r"not overwritten.*manifest\.json"):
        manifest.files_of_checkpoint(checkpoint)
