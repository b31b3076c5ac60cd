"""The folder of an exported policy, and what reads it."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import exported
import gymnasium as gym
import numpy as np
import pytest

from rllib_cli.rollouts import play
from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.exporting.folder import export_policy
from rllib_dreamerv3.exporting.loaded_policy import load_policy
from rllib_dreamerv3.portable import load
from rllib_dreamerv3.portable.described import described_as_text

pytestmark = pytest.mark.compiled


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """One that was trained in CartPole, with a file that must not be unpickled."""
    root = tmp_path_factory.mktemp("trial")
    env = gym.make("CartPole-v1")
    path = exported.write_checkpoint(
        root / "checkpoint_000000", "v1", env.observation_space, env.action_space
    )
    (path / "algorithm_state.pkl").write_bytes(pickle.dumps(Bomb(root / "exploded")))
    exported.sign(path)
    return path


@pytest.fixture(scope="module")
def folder(checkpoint):
    path = checkpoint.parent / "exported"
    export_policy(checkpoint, path, ["savedmodel"])
    return path


def test_nothing_is_unpickled(folder):
    assert not (folder.parent / "exploded").exists()
    assert not list(folder.rglob("*.pkl"))


def test_the_folder_is_a_checkpoint_that_acts(checkpoint, folder):
    assert manifest.verify(folder).env_steps == 10
    original, copy = (load_policy(path) for path in (checkpoint, folder))
    # With the critic. That equal parameters act alike is not tried: it takes long to compile.
    known = original.named_variables()
    assert any(name.startswith("critic/") for name in known)
    for name, variable in copy.named_variables().items():
        np.testing.assert_array_equal(variable.numpy(), known.pop(name).numpy())
    assert not known
    assert (copy.spaces, copy.mode) == (original.spaces, original.mode)
    (episode,) = play(folder, episodes=1)
    assert episode.length == episode.ret > 0


def test_an_exported_policy_can_be_exported_again(folder, tmp_path):
    again = export_policy(folder, tmp_path / "again", ["litert"])
    before = json.loads((folder / "policy.json").read_text())
    name = "networks.safetensors"
    assert again["files"][name] == before["files"][name]
    assert {key for key in again if again[key] != before[key]} <= {"files", "models"}


def test_every_file_has_its_checksum(folder, tmp_path):
    described = json.loads((folder / "policy.json").read_text())
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(described["files"]) == found - {"policy.json"}


def test_damage_is_reported(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "damaged")
    graph = tmp_path / "damaged" / "savedmodel" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"saved_model\.pb is damaged"):
        load(tmp_path / "damaged", format="savedmodel")
    graph.unlink()
    with pytest.raises(ValueError, match=r"saved_model\.pb cannot be read"):
        load(tmp_path / "damaged", format="savedmodel")
    networks = tmp_path / "damaged" / "networks.safetensors"
    whole = networks.read_bytes()
    networks.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"networks\.s.* is damaged.*Export the policy again"):
        load_policy(tmp_path / "damaged")
    policy = tmp_path / "damaged" / "policy.json"
    policy.write_text(policy.read_text().replace('"v1"', '"v2"'))
    with pytest.raises(ValueError, match=r"policy\.json is damaged"):
        load(tmp_path / "damaged")
    # This package says the same, and nothing of earlier checkpoints.
    with pytest.raises(CheckpointError, match=r"policy\.json is damaged.*Export the policy again"):
        load_policy(tmp_path / "damaged")
    policy.unlink()
    with pytest.raises(CheckpointError, match=r"policy\.json is missing. Export the policy again"):
        load_policy(tmp_path / "damaged")


def test_only_exported_policies_are_replaced(checkpoint, folder, tmp_path):
    with pytest.raises(CheckpointError, match="000000 is a checkpoint and is not overwritten"):
        export_policy(folder, checkpoint, ["savedmodel"])
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="is not overwritten"):
        export_policy(folder, tmp_path, ["savedmodel"])
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "notes.txt").write_text("mine")
    described = json.loads((folder / "policy.json").read_text())
    described["files"]["left"] = described["files"]["README.md"]
    shutil.copy(folder / "README.md", tmp_path / "copy" / "left")
    (tmp_path / "copy" / "policy.json").write_text(
        described_as_text({name: x for name, x in described.items() if name != "checksum"})
    )
    export_policy(checkpoint, tmp_path / "copy", ["savedmodel"])
    assert not (tmp_path / "copy" / "left").exists()
    assert (tmp_path / "copy" / "notes.txt").read_text() == "mine"


def test_the_readme_acts(folder):
    page = (folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    program = f"import numpy as np\nobservation = np.ones(4, np.float32)\n{code}\nprint(action)"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() in ("0", "1")


def test_misuse_is_reported(folder, tmp_path):
    policy = load(folder)
    with pytest.raises(ValueError, match=r"shapes \(3,\) instead of \(4,\)"):
        policy(np.zeros(3))
    with pytest.raises(ValueError, match="environment 1 has NaN"):
        policy(np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]]))
    policy(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        policy(np.zeros(4))
    with pytest.raises(ValueError, match="is_first has the shape"):
        policy(np.zeros((2, 4)), is_first=np.zeros(3))
    with pytest.raises(ValueError, match="no model 'onnx'; its models: savedmodel"):
        load(folder, format="onnx")
    with pytest.raises(ValueError, match="mode must be"):
        load(folder, mode="best")
    (tmp_path / "policy.json").write_text("{}")
    with pytest.raises(ValueError, match="not an exported policy"):
        load(tmp_path)
