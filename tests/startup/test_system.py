"""What differs between operating systems."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from rllib_dreamerv3.startup.system import (
    control_group_limits,
    machine_memory,
    mounts_in,
    peak_memory,
    usable_cores,
)

GB = 10**9


def test_windows_is_refused_in_a_sentence():
    # What Python itself does differently there is imported before.
    code = "import asyncio, shutil, subprocess, sys; sys.platform = 'win32'; import rllib_dreamerv3"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "ImportError: rllib_dreamerv3 needs Linux or macOS. On Windows, use it in" in run.stderr


def test_macos_counts_peak_memory_in_bytes(monkeypatch):
    linux = peak_memory()
    assert GB // 100 < linux < machine_memory()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    monkeypatch.setattr(resource, "getrusage", lambda _: usage)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak_memory() == usage.ru_maxrss


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="nothing is mounted there")
def test_mounts_are_found_at_and_below_a_directory(tmp_path):
    assert Path("/dev/shm") in mounts_in(Path("/dev"))
    assert mounts_in(Path("/dev/shm")) == [Path("/dev/shm")]
    assert mounts_in(tmp_path) == []


def test_names_of_mounts_are_decoded(monkeypatch):
    line = "36 35 98:0 / /a\\040b/c rw,noatime - ext4 /dev/root rw\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: line)
    assert mounts_in(Path("/a b")) == [Path("/a b/c")]
    assert mounts_in(Path("/a")) == []


def test_cores_without_affinity_are_those_of_the_machine(monkeypatch):
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert usable_cores() == 7


def test_the_machine_has_memory():
    assert GB // 10 < machine_memory() < 10**15


@pytest.mark.parametrize(
    ("groups", "top", "name"),
    [
        ("0::/slurm/job_7/step_0", ".", "memory.max"),
        (
            "9:name=systemd:/\n4:cpu:/a\n3:memory,hugetlb:/slurm/job_7/step_0",
            "memory",
            "memory.limit_in_bytes",
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_every_group_around_a_process_may_limit_its_memory(tmp_path, groups, top, name):
    job = tmp_path / top / "slurm" / "job_7"
    (job / "step_0").mkdir(parents=True)
    assert list(control_group_limits(groups, tmp_path)) == []
    (job / "step_0" / name).write_text("max\n")
    (job / name).write_text("8000000000\n")
    # In a container the path is that outside: only the top is there.
    (tmp_path / top / name).write_text("9000000000\n")
    assert sorted(control_group_limits(groups, tmp_path)) == [8 * GB, 9 * GB]
