"""DreamerV3 for RLlib, on TensorFlow 2.

Reads like the data flows: ``config`` -> ``algorithm`` -> ``sampling`` -> ``replay`` -> ``learner``
(with ``losses``) -> ``module`` -> weights back to ``sampling``. Shape letters are listed in
``rllib_dreamerv3.module``, the columns of a record in ``rllib_dreamerv3.records``.

Importing the package registers the algorithm with Ray under the name "DreamerV3".
"""

from rllib_dreamerv3 import tensorflow_first  # noqa: F401  isort: skip
from rllib_dreamerv3 import mujoco_renderer  # noqa: F401  isort: skip

from rllib_dreamerv3.algorithm import DreamerV3, register
from rllib_dreamerv3.config import DreamerV3Config
from rllib_dreamerv3.parameters import count_parameters

__all__ = ["DreamerV3", "DreamerV3Config", "count_parameters"]
__version__ = "0.1.0"

register()
