"""The RLlib plugin; only this package and the command depend on Ray.

``config`` -> ``algorithm`` -> ``sampling`` (records) -> replay -> ``learners`` (updates) ->
weights back to the env runners.
"""

import gc

from rllib_dreamerv3.envs.mujoco_renderer import prepare_renderer
from rllib_dreamerv3.plugin.cluster.resources import threads_for_this_process
from rllib_dreamerv3.startup.fast_imports import without_garbage_collection
from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

_threads = threads_for_this_process()
with without_garbage_collection():
    # Before importing RLlib, which imports TensorFlow and dm_control.
    prepare_tensorflow(_threads)
    prepare_renderer()
    import ray.rllib.algorithms  # noqa: F401
if _threads is not None:
    # An actor's process: nothing that exists by now can become garbage.
    gc.freeze()
