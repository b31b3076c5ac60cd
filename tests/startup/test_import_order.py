"""What importing the package does and what its name means, whatever was imported before it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

WITHOUT_PILLOW = """
import sys
class NoPillow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "PIL":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoPillow())
"""
IS_OURS = """
import contextlib, sys
from ray.tune.registry import get_trainable_cls
ours = "rllib_dreamerv3.plugin.algorithm"
assert get_trainable_cls("DreamerV3").__module__ == ours
# Whatever is not found makes RLlib register all of its own algorithms, as far as it can.
with contextlib.suppress(Exception):
    get_trainable_cls("NoSuchAlgorithm")
assert get_trainable_cls("DreamerV3").__module__ == ours
from ray.rllib.algorithms.registry import ALGORITHMS
algorithm, config = ALGORITHMS["DreamerV3"]()
assert algorithm is get_trainable_cls("DreamerV3") is __import__("rllib_dreamerv3").DreamerV3
assert type(config).__module__ == "rllib_dreamerv3.plugin.config.config"
import tensorflow as tf
assert tf.executing_eagerly()
assert tf.compat.v1.control_flow_v2_enabled()
assert float(tf.function(lambda x: x + 1.0)(tf.Variable(1.0))) == 2.0
assert "torch" not in sys.modules
"""
ORDERS = {
    "before Ray": "import rllib_dreamerv3",
    "after RLlib": "import ray.rllib.algorithms.ppo\nimport rllib_dreamerv3",
    "after another class got the name": (
        "from ray.rllib.algorithms.ppo import PPO\n"
        "from ray.tune.registry import get_trainable_cls, register_trainable\n"
        "register_trainable('DreamerV3', PPO)\n"
        "assert get_trainable_cls('DreamerV3') is PPO\n"
        "import rllib_dreamerv3\n"
    ),
    "after Ray was started": "import ray\nray.init(num_cpus=1)\nimport rllib_dreamerv3",
}


def run(code):
    # What this process has chosen for MuJoCo is set too late where RLlib is imported first.
    environ = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def check(code):
    finished = run(code)
    assert finished.returncode == 0, finished.stderr


def test_the_import_alone_is_light():
    check(
        "import sys, rllib_dreamerv3\n"
        "assert not {'ray', 'tensorflow', 'numpy', 'gymnasium', 'PIL'} & set(sys.modules)\n"
        "assert {'DreamerV3', 'DreamerV3Config', 'count_parameters'} <= set(dir(rllib_dreamerv3))\n"
    )


def test_tune_alone_loads_neither_rllib_nor_tensorflow():
    check(
        "import sys, rllib_dreamerv3, ray.tune.registry\n"
        "assert not {'ray.rllib', 'tensorflow', 'rllib_dreamerv3.plugin'} & set(sys.modules)\n"
    )


@pytest.mark.slow
def test_pictures_are_drawn_with_what_is_loaded_only_then():
    """But for matplotlib and pillow, which Keras loads where they are installed."""
    check(
        "import sys, rllib_dreamerv3.reports.dream_files\n"
        "assert not {'imageio', 'imageio_ffmpeg'} & set(sys.modules)\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_the_name_is_ours_without_pillow(order):
    """RLlib's own class of this name cannot be imported then."""
    check(WITHOUT_PILLOW + ORDERS[order] + IS_OURS)


@pytest.mark.slow
@pytest.mark.parametrize("order", [*ORDERS, "after RLlib's own"])
def test_the_name_is_ours_with_pillow(order):
    rllibs_own = (
        "from ray.tune.registry import get_trainable_cls\n"
        "assert get_trainable_cls('DreamerV3').__module__.startswith('ray.rllib')\n"
        "import rllib_dreamerv3\n"
    )
    check({**ORDERS, "after RLlib's own": rllibs_own}[order] + IS_OURS)


@pytest.mark.slow
def test_a_worker_needs_nothing_but_the_name():
    """Of a driver that uses Tune, which hands its table to all workers."""
    check(
        "import ray, ray.tune, rllib_dreamerv3\n"
        "ray.init(num_cpus=1)\n"
        "@ray.remote\n"
        "def look_up(name):\n"
        "    from ray.tune.registry import get_trainable_cls\n"
        "    found = get_trainable_cls(name).__module__\n"
        "    import tensorflow as tf\n"
        "    return found, tf.executing_eagerly(), tf.compat.v1.control_flow_v2_enabled()\n"
        "found = ray.get(look_up.remote('DreamerV3'))\n"
        "assert found == ('rllib_dreamerv3.plugin.algorithm', True, True), found\n"
    )


@pytest.mark.slow
def test_too_late_an_import_says_what_to_do():
    finished = run(
        "import ray.rllib.algorithms.ppo\n"
        "import tensorflow as tf\n"
        "if not tf.executing_eagerly(): tf.constant(1)\n"
        "import rllib_dreamerv3\n"
    )
    assert finished.returncode != 0
    assert "Import rllib_dreamerv3 before ray.rllib" in finished.stderr


@pytest.mark.slow
def test_rllib_leaves_tensorflow_in_version_2_mode_once_the_package_is_imported():
    """Although no name of it has been used; and nobody imports TensorFlow Probability unused."""
    check(
        "import sys, rllib_dreamerv3\n"
        "import ray.rllib.algorithms.ppo\n"
        "import tensorflow as tf\n"
        "assert tf.executing_eagerly()\n"
        "assert tf.compat.v1.control_flow_v2_enabled()\n"
        "import rllib_cli.running, rllib_dreamerv3.plugin.algorithm\n"
        "import rllib_dreamerv3.plugin.learners.learner\n"
        "import rllib_dreamerv3.plugin.sampling.env_runner\n"
        "assert not {'tensorflow_probability', 'tf_keras'} & set(sys.modules)\n"
        "from ray.rllib.models.tf import tf_action_dist\n"
        "assert tf_action_dist.tfp.distributions.Normal(0.0, 1.0).mean() == 0.0\n"
    )
