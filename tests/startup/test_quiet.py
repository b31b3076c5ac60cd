"""Output of a user's Python process while it builds: only messages about the run."""

import os
import subprocess
import sys
from pathlib import Path

from rllib_dreamerv3.startup.quiet import without_native_logs

REPOSITORY = Path(__file__).parents[2]
# All that builds an algorithm does, but for Ray and the networks.
BUILD = """
from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.startup.devices import hide_gpus
from ray.rllib.core.rl_module.rl_module import RLModuleConfig

DreamerV3Config().environment("CartPole-v1").validate()
hide_gpus()
RLModuleConfig()
"""


def test_building_says_nothing_of_cuda_nor_of_rllibs_own_past():
    environment = {name: x for name, x in os.environ.items() if not name.startswith("TF_CPP")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD],
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


NOISE = b"I0000 00:00:1795999415.522825   13524 cudart_stub.cc:31] Could not find cuda drivers\n"


def test_only_native_logs_are_discarded(capfd, monkeypatch):
    with without_native_logs():
        os.write(2, NOISE + b"mine\n")
    assert capfd.readouterr().err == "mine\n"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with without_native_logs():
        os.write(2, NOISE)
    assert capfd.readouterr().err == NOISE.decode()


def test_a_failure_shows_all(capfd):
    try:
        with without_native_logs():
            os.write(2, NOISE)
            raise ValueError
    except ValueError:
        assert capfd.readouterr().err == NOISE.decode()
