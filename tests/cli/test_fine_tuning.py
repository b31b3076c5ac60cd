"""``rllib train --from-checkpoint`` with networks alone: they go on, and nothing is unpickled."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
from command import TINY, run

from rllib_dreamerv3.checkpoints import manifest

COMMIT = "8f1c2d3e4b5a69788796a5b4c3d2e1f00f1e2d3c"


class Evil:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def results(storage):
    (file,) = Path(storage).glob("*/*/result.json")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.long
def test_a_policy_of_the_package_is_trained_further():
    code, output = run(
        *("train", "file", "first_look.yaml", "--from-checkpoint", "pretrained:catch"),
        *("--config", '{"seed": 1, "training_ratio": 1, "report_images_and_videos": false}'),
        *("--stop", '{"num_env_steps_sampled_lifetime": 520}', "--storage-path", "results"),
    )
    assert code == 0, output
    assert "Starting with the networks of" in output
    assert "execute code" not in output
    # Untrained policies and random actions get about -0.6.
    assert results("results")[-1]["env_runners"]["episode_return_mean"] >= 0.5
    code, output = run(
        *("train", "file", "first_look.yaml", "--from-checkpoint", "pretrained:catch"),
        *("--config", '{"model_size": "nano"}', "--storage-path", "others"),
    )
    assert code == 1
    assert "same environment and the same model options" in output


@pytest.mark.long
def test_nothing_of_a_checkpoint_on_the_hub_is_unpickled(cartpole, tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="needs huggingface_hub, the extra [hub]")
    repository, trace = tmp_path / "hub" / "models--me--it", tmp_path / "executed"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    # As after a complete download by another program.
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(cartpole, snapshot)
    for pickled in snapshot.rglob("*.pkl"):
        pickled.write_bytes(pickle.dumps(Evil(trace)))
    (snapshot / manifest.MANIFEST).unlink()
    manifest.write(snapshot, env_steps=1, updates=1)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, output = run(
        *("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--config", json.dumps(TINY)),
        *("--stop", '{"training_iteration": 1}', "--storage-path", "results"),
        *("--from-checkpoint", "hf://me/it"),
    )
    assert code == 0, output
    assert not trace.exists()
    code, output = run("evaluate", "hf://me/it", "--episodes", 1)
    assert code == 0, output
    assert not trace.exists()
