"""Only learners see GPUs. The machine has none: TensorFlow gets a fake one."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from ray import cloudpickle
from tensorflow.python.eager import context
from tiny import tiny_config

from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def add_gpu():
    """Lets TensorFlow believe that there is a GPU, before its first operation."""
    tf.config.list_physical_devices()
    gpu = context.PhysicalDevice("/physical_device:GPU:0", "GPU")
    context.context()._physical_devices.append(gpu)
    context.context()._visible_device_list.append(gpu)


class BesideAGpu(DreamerV3EnvRunner):
    def __init__(self, **arguments):
        self.seen_at_first = []
        if arguments.get("worker_index"):
            add_gpu()
            self.seen_at_first = tf.config.get_visible_devices("GPU")
        super().__init__(**arguments)


@pytest.mark.long
def test_env_runners_hide_gpus_from_tensorflow(build):
    config = tiny_config().env_runners(num_env_runners=1, env_runner_cls=BesideAGpu)
    algorithm = build(config)
    (seen,) = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: (
            len(runner.seen_at_first),
            len(tf.config.get_visible_devices("GPU")),
            len(tf.config.list_physical_devices("GPU")),
        ),
        local_env_runner=False,
    )
    assert seen == (1, 0, 1)


PROGRAM = """
import sys
sys.path[:] = {path!r}
import ray
import tensorflow as tf
from rllib_dreamerv3.errors import ResourceError
from test_gpus import add_gpu
from tiny import tiny_config
ray.init(
    num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
)
try:
    tiny_config().learners(num_gpus_per_learner=1).build_algo()
except ResourceError as error:
    print("refused:", error)
add_gpu()
tiny_config().build_algo()
print("visible:", tf.config.get_visible_devices("GPU"))
"""


@pytest.mark.long
def test_a_process_that_learns_needs_one_or_sees_none():
    """Ray has one that TensorFlow does not see; then TensorFlow sees one that is not asked for."""
    program = PROGRAM.format(path=[str(Path(__file__).parent), *sys.path])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    refused, visible = done.stdout.splitlines()[-2:]
    assert refused.startswith("refused: num_gpus_per_learner is 1, but TensorFlow sees no GPU")
    assert visible == "visible: []"
