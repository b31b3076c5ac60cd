"""Where compiled functions are kept from process to process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rllib_dreamerv3.startup.compilation_cache import (
    DIRECTORY_FLAG,
    FLAGS_VARIABLE,
    use_compilation_cache,
)

REPOSITORY = Path(__file__).parents[2]
# A Ray worker that trains: it has a share of the CPUs, and therefore another number of threads.
TRAIN = """
import ray

@ray.remote(num_cpus=1)
def train():
    from rllib_dreamerv3 import DreamerV3Config

    config = DreamerV3Config().environment("CartPole-v1").training(
        model_size="nano", batch_size_B=2, batch_length_T=4, horizon_H=2, training_ratio=8,
        num_steps_sampled_before_learning_starts=16,
    ).reporting(min_time_s_per_iteration=0).debugging(seed=0)
    algorithm = config.build_algo()
    while "learners" not in (result := algorithm.train()):
        pass
    return float(result["learners"]["default_policy"]["WORLD_MODEL_L_total"])

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print("loss", ray.get(train.remote()))
"""


def test_folders_differ_by_number_of_threads(tmp_path):
    folders = []
    for threads in (1, 2):
        environment = {"XDG_CACHE_HOME": str(tmp_path), FLAGS_VARIABLE: "--tf_xla_auto_jit=0"}
        folders.append(use_compilation_cache(threads, environment))
        assert folders[-1].is_dir()
        assert tmp_path in folders[-1].parents
        expected = f"--tf_xla_auto_jit=0 {DIRECTORY_FLAG}={folders[-1]}"
        assert environment[FLAGS_VARIABLE] == expected
    assert folders[0] != folders[1]


def test_a_machine_with_a_gpu_has_a_separate_folder(tmp_path, monkeypatch):
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    without = use_compilation_cache(1, dict(environment))
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert use_compilation_cache(1, dict(environment)) != without


@pytest.mark.parametrize("directory", ["", "/elsewhere"])
def test_users_choose_another_directory_or_none(tmp_path, directory):
    chosen = {"XDG_CACHE_HOME": str(tmp_path), FLAGS_VARIABLE: f"{DIRECTORY_FLAG}={directory}"}
    environment = dict(chosen)
    assert use_compilation_cache(1, environment) is None
    assert environment == chosen
    assert list(tmp_path.iterdir()) == []


def test_no_cache_where_none_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "file")}
    assert use_compilation_cache(1, environment) is None
    assert FLAGS_VARIABLE not in environment


@pytest.mark.compiled
@pytest.mark.long
def test_a_second_run_finds_what_the_first_has_compiled_and_computes_the_same(tmp_path):
    environment = {name: x for name, x in os.environ.items() if name != FLAGS_VARIABLE}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    losses, kept = [], []
    for _ in range(2):
        finished = subprocess.run(
            [sys.executable, "-c", TRAIN],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        losses.append(finished.stdout.rsplit("loss ", 1)[1])
        kept.append({x.name: x.stat().st_mtime_ns for x in tmp_path.rglob("*.pb")})
    assert kept[0]
    assert kept[0] == kept[1]
    assert losses[0] == losses[1]
