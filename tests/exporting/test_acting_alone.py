"""Exported policies act as load_policy() does, without this package, Ray and Gymnasium."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import exported
import gymnasium as gym
import numpy as np
import pytest

from rllib_dreamerv3.acting import load_policy
from rllib_dreamerv3.exporting.folder import export_policy

PROGRAM = Path(exported.__file__).with_name("act_alone.py")
OURS = ["rllib_dreamerv3", "rllib_cli", "ray", "gymnasium", "safetensors", "xxhash"]
TAKEN_AWAY = {"savedmodel": OURS}
STEPS = 200


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An exported policy for each of the spaces, with all formats."""
    root = tmp_path_factory.mktemp("exported")
    folders = {}
    for i, (name, spaces) in enumerate(exported.SPACES.items()):
        checkpoint = exported.write_checkpoint(root / f"checkpoint_{i}", *spaces)
        folders[name] = root / f"exported_{i}"
        export_policy(checkpoint, folders[name], list(TAKEN_AWAY))
    return folders


def act_alone(jobs, taken_away, directory):
    """Actions and states of each step of each job, from a process of its own."""
    path = directory / "jobs.pkl"
    path.write_bytes(pickle.dumps(jobs))
    command = [sys.executable, str(PROGRAM), ",".join(taken_away), str(path)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    finished = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return pickle.loads(Path(f"{path}.done").read_bytes())


def assert_same(found, expected):
    """Nested actions: choices are equal, numbers nearly."""
    if isinstance(expected, dict | tuple):
        assert type(found) is type(expected)
        keys = list(expected) if isinstance(expected, dict) else range(len(expected))
        assert len(found) == len(keys)
        for key in keys:
            assert_same(found[key], expected[key])
        return
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    tolerance = 1e-4 if expected.dtype.kind == "f" else 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def assert_acts_as_load_policy(folder, observations, done, **options):
    policy = load_policy(folder, **options)
    for observation, (action, state) in zip(observations, done, strict=True):
        assert_same(action, policy(observation))
        np.testing.assert_allclose(state[0], policy.state.h, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(state[1], policy.state.index)


@pytest.mark.parametrize("format", TAKEN_AWAY)
def test_acts_as_load_policy_does(folders, format, tmp_path):
    jobs, batches = [], {}
    for name, folder in folders.items():
        space = exported.SPACES[name][1]
        seen = exported.observations(space, STEPS)
        jobs.append((folder, format, {"mode": "mode", "seed": 5}, seen))
    space = exported.SPACES["v1 nested"][1]
    batches = [
        gym.vector.utils.concatenate(
            space,
            exported.observations(space, 3, seed),
            gym.vector.utils.create_empty_array(space, 3),
        )
        for seed in range(5)
    ]
    jobs.append((folders["v1 nested"], format, {"mode": "sample", "seed": 7}, batches))
    done = act_alone(jobs, TAKEN_AWAY[format], tmp_path)
    for (folder, _, options, seen), steps in zip(jobs, done, strict=True):
        assert_acts_as_load_policy(folder, seen, steps, **options)
