"""Who sees GPUs, and what is said where there is none; no GPU is needed for these tests."""

import shutil

import pytest
import tensorflow as tf

from rllib_dreamerv3.errors import ResourceError
from rllib_dreamerv3.startup import devices

GIB = 2**30


@pytest.fixture(autouse=True)
def no_gpu():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")


def test_learning_on_a_gpu_is_refused_where_there_is_none():
    with pytest.raises(ResourceError, match=r"num_gpus_per_learner is 0.5, but TensorFlow sees no"):
        devices.take_gpus(0.5)
    with pytest.raises(ResourceError, match="set num_gpus_per_learner: 0"):
        devices.check_gpus(1)
    devices.check_gpus(0)


@pytest.mark.parametrize("value", ["", "-1"])
def test_hidden_gpus_are_reported(value, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert "CUDA_VISIBLE_DEVICES hides all of them" in devices.why_no_gpu()


def test_missing_parts_are_reported(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "this machine has no NVIDIA driver" in devices.why_no_gpu()
    # With a driver it is the libraries: TensorFlow's usual wheel is built with CUDA.
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert shutil.which("nvidia-smi")
    if tf.test.is_built_with_cuda():
        assert "pip install 'rllib-dreamerv3[gpu]'" in devices.why_no_gpu()
        assert "CUDA's libraries or the driver are missing" in devices.why_no_gpu()
    else:
        assert "was built without CUDA" in devices.why_no_gpu()


def test_memory_of_a_part_of_a_gpu_is_limited():
    assert devices.memory_limit_mib(24 * GIB, 0.25) == 6 * 1024
    assert devices.memory_limit_mib(24 * GIB, 1) is None
    assert devices.memory_limit_mib(None, 0.25) is None


@pytest.mark.parametrize(("printed", "mib"), [("24564\n", 24564), ("81559\n24564\n", 24564)])
def test_memory_is_what_nvidias_program_says(printed, mib, monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\nprintf '{printed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert devices._gpu_memory() == mib * 2**20
    assert "--query-gpu=memory.total" in (tmp_path / "asked").read_text()
    assert "--id=1,0" in (tmp_path / "asked").read_text()


def test_memory_is_not_known_without_nvidias_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices._gpu_memory() is None


def test_this_process_computes_on_the_cpu():
    assert devices.device_in_use() == "CPU"
