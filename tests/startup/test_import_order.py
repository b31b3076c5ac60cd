"""What importing the package does and what its name means, whatever was imported before it.

Each process takes seconds of imports, so checks share processes where possible.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiled

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
LIGHT = """
import sys, rllib_dreamerv3
assert not {'ray', 'tensorflow', 'numpy', 'gymnasium', 'PIL'} & set(sys.modules)
assert {'DreamerV3', 'DreamerV3Config', 'count_parameters'} <= set(dir(rllib_dreamerv3))
# Tune alone, which looks names up, loads neither RLlib nor TensorFlow.
import ray.tune.registry
assert not {'ray.rllib', 'tensorflow', 'rllib_dreamerv3.plugin'} & set(sys.modules)
# Pictures are drawn with what is loaded only then, but for matplotlib and pillow, which Keras
# loads where they are installed.
import rllib_dreamerv3.reports.dream_files
assert not {'imageio', 'imageio_ffmpeg'} & set(sys.modules)
# RLlib leaves TensorFlow in version-2 mode, although no name of the package has been used.
import ray.rllib.algorithms.ppo
import tensorflow as tf
assert tf.executing_eagerly()
assert tf.compat.v1.control_flow_v2_enabled()
# TensorFlow Probability stays unimported until it is used.
import rllib_cli.tune_run, rllib_dreamerv3.plugin.algorithm
import rllib_dreamerv3.plugin.learners.learner
import rllib_dreamerv3.plugin.sampling.env_runner
assert not {'tensorflow_probability', 'tf_keras'} & set(sys.modules)
from ray.rllib.models.tf import tf_action_dist
assert tf_action_dist.tfp.distributions.Normal(0.0, 1.0).mean() == 0.0
"""
# A driver that uses Tune, which hands its table to all workers; a worker needs nothing but the
# name. RLlib's own class of this name cannot be imported without pillow.
ORDERS = {
    "before Ray, which is used by workers": (
        "import ray, ray.tune, rllib_dreamerv3\n"
        "ray.init(num_cpus=1)\n"
        "@ray.remote\n"
        "def look_up(name):\n"
        "    from ray.tune.registry import get_trainable_cls\n"
        "    found = get_trainable_cls(name).__module__\n"
        "    import sys, tensorflow as tf\n"
        "    assert not {'IPython', 'matplotlib'} & set(sys.modules)\n"
        "    import matplotlib.figure\n"
        "    return found, tf.executing_eagerly(), tf.compat.v1.control_flow_v2_enabled()\n"
        "found = ray.get(look_up.remote('DreamerV3'))\n"
        "assert found == ('rllib_dreamerv3.plugin.algorithm', True, True), found\n"
    ),
    "after RLlib, whose user gave the name to another class, without pillow": (
        WITHOUT_PILLOW + "from ray.rllib.algorithms.ppo import PPO\n"
        "from ray.tune.registry import get_trainable_cls, register_trainable\n"
        "register_trainable('DreamerV3', PPO)\n"
        "assert get_trainable_cls('DreamerV3') is PPO\n"
        "import rllib_dreamerv3\n"
    ),
    "after RLlib's own and after Ray was started": (
        "import ray\nray.init(num_cpus=1)\n"
        "from ray.tune.registry import get_trainable_cls\n"
        "assert get_trainable_cls('DreamerV3').__module__.startswith('ray.rllib')\n"
        "import rllib_dreamerv3\n"
    ),
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


def test_imports_bring_no_more_than_they_need_and_tensorflow_in_version_2_mode():
    check(LIGHT)


@pytest.mark.parametrize(
    "order",
    # Starting Ray takes as long as all the others.
    [pytest.param(x, marks=[pytest.mark.long] * ("Ray" in x)) for x in ORDERS],
)
def test_the_name_is_ours(order):
    check(ORDERS[order] + IS_OURS)


def test_too_late_an_import_says_what_to_do():
    finished = run(
        "import ray.rllib.algorithms.ppo\n"
        "import tensorflow as tf\n"
        "if not tf.executing_eagerly(): tf.constant(1)\n"
        "import rllib_dreamerv3\n"
    )
    assert finished.returncode != 0
    assert "Import rllib_dreamerv3 before ray.rllib" in finished.stderr
