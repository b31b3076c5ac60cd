"""Policies by name: those of the package, and of the Hugging Face hub's cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rllib_dreamerv3.checkpoints import pretrained
from rllib_dreamerv3.checkpoints.named import is_name, locate
from rllib_dreamerv3.checkpoints.runs import find_checkpoint
from rllib_dreamerv3.errors import CheckpointError

COMMIT = "8f1c2d3e4b5a69788796a5b4c3d2e1f00f1e2d3c"
READ = """
import sys
from rllib_dreamerv3.checkpoints.named import locate
from rllib_dreamerv3.errors import CheckpointError

try:
    print(locate(sys.argv[1]))
except CheckpointError as error:
    print("ERROR", error)
"""


def cache_repository(home, files, *, commit=COMMIT, branch="main"):
    """Writes a repository as huggingface_hub caches it: a snapshot of links to blobs."""
    repository = home / "hub" / "models--me--catch"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / branch).write_text(commit)
    snapshot = repository / "snapshots" / commit
    for number, (name, content) in enumerate(files.items()):
        blob = repository / "blobs" / f"{number:040x}"
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(content)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def located_offline(home, address):
    """In a new process, since huggingface_hub reads its variables when it is imported."""
    pytest.importorskip("huggingface_hub", reason="needs huggingface_hub, the extra [hub]")
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ, address], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_policy_of_the_package_has_a_directory():
    for name in pretrained.names():
        assert find_checkpoint(f"pretrained:{name}") == (locate(Path(f"pretrained:{name}")), [])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("pretrained:cach", "Did you mean 'catch'"), ("pretrained:", "Valid: .*catch")],
)
def test_a_wrong_name_is_answered_with_the_nearest(wrong, words):
    with pytest.raises(CheckpointError, match=words):
        find_checkpoint(wrong)


def test_other_paths_stay_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("./pretrained:catch", "runs/hf:/x/y", "s3://bucket/run", tmp_path):
        assert not is_name(path)
    assert locate("./pretrained:catch") == tmp_path / "pretrained:catch"


@pytest.mark.parametrize(
    "address", ["hf://catch", "hf://a/b/c", "hf://me/catch@", "hf://me/ca tch"]
)
def test_an_address_without_an_owner_and_a_name_is_refused(address):
    with pytest.raises(CheckpointError, match="hf://owner/name"):
        locate(address)


@pytest.mark.parametrize("address", ["hf://me/catch", "hf:/me/catch", "hf://me/catch@main"])
def test_a_policy_is_read_from_the_cache_of_the_hub(tmp_path, address):
    source = pretrained.directory_of("catch")
    files = {
        file.relative_to(source).as_posix(): file.read_bytes()
        for file in source.rglob("*")
        if file.is_file()
    }
    snapshot = cache_repository(tmp_path, files)
    assert located_offline(tmp_path, address) == str(snapshot)
    assert find_checkpoint(snapshot) == (snapshot, [])


def test_what_is_not_there_and_cannot_be_downloaded_is_reported(tmp_path):
    cache_repository(tmp_path, {"manifest.json": b"{}"})
    assert located_offline(tmp_path, "hf://me/catch@v2").startswith("ERROR hf://me/catch@v2 cannot")
