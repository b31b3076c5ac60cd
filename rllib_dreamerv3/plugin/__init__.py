"""The RLlib plugin; only this package and the command depend on Ray.

``config`` -> ``algorithm`` -> ``sampling`` (records) -> replay -> ``learners`` (updates) ->
weights back to the env runners.
"""

from rllib_dreamerv3.envs.mujoco_renderer import prepare_renderer
from rllib_dreamerv3.plugin.cluster.resources import threads_for_this_process
from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

# Before importing RLlib, which imports TensorFlow and dm_control.
prepare_tensorflow(threads_for_this_process())
prepare_renderer()
