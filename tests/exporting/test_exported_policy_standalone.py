"""Exported policies act as load_policy() does, without this package, Ray and Gymnasium."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import exported
import gymnasium as gym
import numpy as np
import pytest
from exported_folders import exported_folder, formats_of, loaded_policy

PROGRAM = Path(exported.__file__).with_name("act_alone.py")
OURS = ["rllib_dreamerv3", "rllib_cli", "ray", "gymnasium", "safetensors", "xxhash"]
TAKEN_AWAY = {
    "savedmodel": OURS,
    "litert": [*OURS, "tensorflow"],
    "onnx": [*OURS, "tensorflow"],
}
STEPS = int(os.environ.get("EXPORTED_STEPS", "200"))
SAMPLED = "v1 nested"


class Job(NamedTuple):
    """A policy that acts, and what it must do."""

    name: str
    folder: Path
    options: dict
    observations: list
    expected: list


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Policies for each of the spaces, exported in all formats, and what load_policy() does."""
    jobs = []
    for name, (_, space, _) in exported.SPACES.items():
        folder = exported_folder(tmp_path_factory, name)
        jobs.append(job(name, folder, exported.observations(space, STEPS), mode="mode", seed=5))
        if name == SAMPLED:
            jobs.append(job(name, folder, batches(space, 5), mode="sample", seed=7))
    return jobs


def job(name, folder, observations, **options):
    policy = loaded_policy(folder, options["mode"])
    policy.reset(options["seed"])
    expected = [(policy(x), tuple(policy.state)) for x in observations]
    return Job(name, folder, options, observations, expected)


def batches(space, steps):
    """Observations of three environments."""
    return [
        gym.vector.utils.concatenate(
            space,
            exported.observations(space, 3, seed),
            gym.vector.utils.create_empty_array(space, 3),
        )
        for seed in range(steps)
    ]


def act_alone(jobs, format, directory):
    """Actions and states of each step of each job, from a separate process."""
    path = directory / "jobs.pkl"
    path.write_bytes(
        pickle.dumps([(job.folder, format, job.options, job.observations) for job in jobs])
    )
    command = [sys.executable, str(PROGRAM), ",".join(TAKEN_AWAY[format]), str(path)]
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


@pytest.mark.long
def test_acts_as_load_policy_does(jobs, tmp_path):
    # One test of all formats: several would each compile load_policy() in separate processes.
    for format in TAKEN_AWAY:
        chosen = [job for job in jobs if format in formats_of(job.name)]
        assert chosen
        for job, done in zip(chosen, act_alone(chosen, format, tmp_path), strict=True):
            for (action, state), (expected, known) in zip(done, job.expected, strict=True):
                assert_same(action, expected)
                np.testing.assert_allclose(state[0], known[0], rtol=0, atol=1e-4)
                np.testing.assert_array_equal(state[1], known[1])
