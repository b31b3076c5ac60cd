"""All that knows Ray: what RLlib sees of this package.

``config`` -> ``algorithm`` -> ``sampling`` (records) -> replay -> ``learners`` (updates) ->
weights back to the env runners.
"""

from rllib_dreamerv3.plugin.cluster.resources import threads_for_this_process
from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

# Both before RLlib, which would import TensorFlow and dm_control without preparing them.
prepare_tensorflow(threads_for_this_process())
from rllib_dreamerv3.envs import mujoco_renderer  # noqa: E402, F401
