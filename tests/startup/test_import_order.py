"""Importing the package, whatever was imported before it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
USE = """
import tensorflow as tf
from ray.tune.registry import get_trainable_cls
assert tf.executing_eagerly()
assert tf.compat.v1.control_flow_v2_enabled()
assert float(tf.function(lambda x: x + 1.0)(tf.Variable(1.0))) == 2.0
assert get_trainable_cls("DreamerV3").__module__ == "rllib_dreamerv3.plugin.algorithm"
assert "torch" not in __import__("sys").modules
"""


def run(code):
    # What this process has chosen for MuJoCo is set too late where RLlib is imported first.
    environ = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "import rllib_dreamerv3",
        "import ray.rllib\nimport ray.rllib.algorithms.ppo\nimport rllib_dreamerv3",
    ],
    ids=["first", "after RLlib"],
)
def test_tensorflow_is_in_version_2_mode_and_the_name_is_ours(imports):
    finished = run(imports + USE)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
def test_too_late_an_import_says_what_to_do():
    code = (
        "import ray.rllib.algorithms.ppo\n"
        "import tensorflow as tf\n"
        "if not tf.executing_eagerly(): tf.constant(1)\n"
        "import rllib_dreamerv3\n"
    )
    finished = run(code)
    assert finished.returncode != 0
    assert "Import rllib_dreamerv3 before ray.rllib" in finished.stderr
