"""Files that anybody may have made end in an error that names them, at once."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash

from rllib_dreamerv3.checkpoints import counters_file, manifest, policy_file, runs, tensors
from rllib_dreamerv3.checkpoints.untrusted import count, number, parse_json, read_json
from rllib_dreamerv3.errors import CheckpointError

COUNTERS: dict[str, Any] = {
    "records": 12,
    "env_steps": 11,
    "pending_updates": 0,
    "generation": 1,
    "time_total_s": 60.5,
    "update_schedule": {"first_record": 3, "settled": 4.5, "updates": 2},
    "episodes": [[1.5, 3, 0.1, {"x": [1.0, 2.0]}], [2.0, 4]],
}
POLICY = {"env": None, "env_class": None, "options": {}}
NESTED = "[" * 100_000 + "]" * 100_000


def write(directory: Path) -> Path:
    (directory / "dreamerv3").mkdir(parents=True)
    (directory / "dreamerv3" / "counters.json").write_text(json.dumps(COUNTERS))
    (directory / "policy.json").write_text(json.dumps(POLICY))
    (directory / "index.json").write_text("{}")
    tensors.save(directory / "arrays.safetensors", {"x": np.zeros(2, np.float32)})
    manifest.write(directory, env_steps=12, updates=3)
    return directory


def seal(directory: Path, **changes: Any) -> None:
    """Writes a manifest with other entries and the right checksum."""
    content = json.loads((directory / "manifest.json").read_text())
    content |= {**changes, "checksum": "0" * 32}
    text = json.dumps(content, indent=1) + "\n"
    checksum = xxhash.xxh3_128_hexdigest(text.encode())
    (directory / "manifest.json").write_text(text.replace("0" * 32, checksum, 1))


def entry(size: Any = 0, checksum: Any = "") -> dict[str, Any]:
    return {"size": size, "checksum": checksum}


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Replaces a file, and writes its new size and checksum where it has these."""

    def change(directory: Path) -> None:
        path = directory / name
        path.unlink()
        make(path)
        if name != "manifest.json":
            readable = path.is_file() and not path.is_symlink()
            described = manifest._describe(path) if readable else manifest.File(0, "")
            files = json.loads((directory / "manifest.json").read_text())["files"]
            seal(directory, files=files | {name: described._asdict()})

    return change


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def link(to: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(to)


def tensor_of(dtype: str, size: int) -> Callable[[Path], object]:
    header = json.dumps({"x": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2 * size]}})
    content = struct.pack("<Q", len(header)) + header.encode() + b"\1" * 2 * size
    return lambda path: path.write_bytes(content)


def counters(**changes: Any) -> Callable[[Path], None]:
    return replaced("dreamerv3/counters.json", text(json.dumps(COUNTERS | changes)))


def schedule(**changes: Any) -> Callable[[Path], None]:
    return counters(update_schedule=COUNTERS["update_schedule"] | changes)


ODDITIES: dict[str, Callable[[Path], None]] = {
    "NUL in a name": lambda d: seal(d, files={"a\0b": entry()}),
    "surrogate in a name": lambda d: seal(d, files={"\ud800": entry()}),
    "long name": lambda d: seal(d, files={"x" * 300: entry()}),
    "name outside": lambda d: seal(d, files={"../x": entry()}),
    "size is no number": lambda d: seal(d, files={"index.json": entry("2")}),
    "checksum is no text": lambda d: seal(d, files={"index.json": entry(2, 7)}),
    "files are a list": lambda d: seal(d, files=["index.json"]),
    "a file is text": lambda d: seal(d, files={"index.json": "x"}),
    "fraction of updates": lambda d: seal(d, updates=3.7),
    "negative updates": lambda d: seal(d, updates=-1),
    "true updates": lambda d: seal(d, updates=True),
    "too many updates": lambda d: seal(d, updates=10**30),
    "infinite updates": lambda d: seal(d, updates=float("inf")),
    "NaN steps": lambda d: seal(d, env_steps=float("nan")),
    "iteration is text": lambda d: seal(d, iteration="3"),
    "created is a number": lambda d: seal(d, created=3),
    "created is missing": lambda d: seal(d, created=None),
    "version is a list": lambda d: seal(d, package_version=[]),
    "nested manifest": replaced("manifest.json", text(NESTED)),
    "binary manifest": replaced("manifest.json", lambda p: p.write_bytes(b"\xff\xfe\x00")),
    "manifest is a directory": replaced("manifest.json", Path.mkdir),
    "manifest is a pipe": replaced("manifest.json", os.mkfifo),
    "manifest never ends": replaced("manifest.json", link("/dev/zero")),
    "manifest links to itself": replaced("manifest.json", link("manifest.json")),
    "file is a pipe": replaced("index.json", os.mkfifo),
    "file never ends": replaced("index.json", link("/dev/zero")),
    "file of a process": replaced("index.json", link("/proc/self/pagemap")),
    "file is a directory": replaced("index.json", Path.mkdir),
    "nested file": replaced("index.json", text(NESTED)),
    "infinite number": replaced("index.json", text('{"x": Infinity}')),
    "too great a number": replaced("index.json", text('{"x": 1e999}')),
    "nested policy": replaced("policy.json", text(NESTED)),
    "policy without options": replaced("policy.json", text("{}")),
    "policy is a list": replaced("policy.json", text("[]")),
    "bfloat16": replaced("arrays.safetensors", tensor_of("BF16", 2)),
    "float8": replaced("arrays.safetensors", tensor_of("F8_E4M3", 1)),
    "unknown dtype": replaced("arrays.safetensors", tensor_of("Q7", 1)),
    "nested header": replaced("arrays.safetensors", text(struct.pack("<Q", 99).decode() + NESTED)),
    "fraction of pending updates": counters(pending_updates=3.7),
    "negative records": counters(records=-1),
    "records are true": counters(records=True),
    "records are text": counters(records="12"),
    "records are missing": counters(records=None),
    "infinite generation": counters(generation=float("inf")),
    "negative time": counters(time_total_s=-1.0),
    "half an update": counters(pretraining_updates=3.5),
    "schedule is a list": counters(update_schedule=[]),
    "negative schedule": schedule(settled=-1.0),
    "fraction of updates in the schedule": schedule(updates=1.5),
    "first record is text": schedule(first_record="3"),
    "episodes are a number": counters(episodes=3),
    "episode is too short": counters(episodes=[[1.0]]),
    "episode is too long": counters(episodes=[[1.0, 2, 0.1, {}, 5]]),
    "episode without an end": counters(episodes=[[1.0, 2, 0.1]]),
    "length is a fraction": counters(episodes=[[1.0, 2.5]]),
    "infinite return": counters(episodes=[[float("inf"), 2]]),
    "numbers are a list": counters(episodes=[[1.0, 2, 0.1, ["x"]]]),
    "number is text": counters(episodes=[[1.0, 2, 0.1, {"x": ["1", 2.0]}]]),
    "counters are a list": replaced("dreamerv3/counters.json", text("[]")),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_odd_newest_checkpoint_does_not_hide_the_older_one(tmp_path: Path, oddity: str):
    whole = write(tmp_path / "checkpoint_000009")
    odd = write(tmp_path / "checkpoint_000010")
    ODDITIES[oddity](odd)
    saved, problems = runs.newest_complete(tmp_path)
    assert saved is not None
    assert saved.path == whole
    (problem,) = problems
    assert problem.path == odd
    assert "is damaged: " in problem.problem or "is missing" in problem.problem
    assert len(problem.problem) < 1000
    assert runs.find_checkpoint(tmp_path)[0] == whole


def test_whole_checkpoint_is_the_newest(tmp_path: Path):
    for i in (9, 999_999, 1_000_000):
        newest = write(tmp_path / f"checkpoint_{i:06}")
    (tmp_path / "checkpoint_0x").mkdir()
    saved, problems = runs.newest_complete(tmp_path)
    assert saved is not None
    assert saved.path == newest
    assert not problems


@pytest.mark.parametrize("oddity", ["bfloat16", "float8", "unknown dtype", "nested header"])
def test_odd_arrays_are_not_loaded(tmp_path: Path, oddity: str):
    ODDITIES[oddity](write(tmp_path / "odd"))
    with pytest.raises(CheckpointError, match=r"arrays\.safetensors is damaged"):
        tensors.load(tmp_path / "odd" / "arrays.safetensors")


def test_counters_come_back(tmp_path: Path):
    assert counters_file.read(write(tmp_path / "one") / "dreamerv3") == COUNTERS
    with pytest.raises(CheckpointError, match=r"counters\.json is missing"):
        counters_file.read(tmp_path)


def test_nested_policy_is_damaged(tmp_path: Path):
    (tmp_path / "policy.json").write_text(NESTED)
    with pytest.raises(CheckpointError, match="is damaged: it is nested too deeply"):
        policy_file.read(tmp_path)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '{"x": [-1e999]}'])
def test_numbers_are_finite(text: str):
    with pytest.raises(ValueError, match="not a finite number"):
        parse_json(text.encode())


def test_only_regular_files_are_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless", "."):
        with pytest.raises(OSError, match="not a regular file"):
            read_json(tmp_path / name)
    (tmp_path / "file").write_text("[1.5]")
    (tmp_path / "link").symlink_to("file")
    assert read_json(tmp_path / "link") == [1.5]


def test_counts_and_numbers():
    assert count(2**63 - 1, "x") == 2**63 - 1
    assert number(-2.5, "x") == -2.5
    for wrong in (-1, 1.0, True, "1", None, [], 2**63, float("nan")):
        with pytest.raises(ValueError, match=r"updates is .*, not a count"):
            count(wrong, "updates")
    for wrong in (True, "1", None, float("nan"), float("inf"), 10**400):
        with pytest.raises(ValueError, match=r"scale is .*, not a finite number"):
            number(wrong, "scale")
