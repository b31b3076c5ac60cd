"""DreamerV3 for RLlib, on TensorFlow 2.

Two halves. ``plugin`` is what RLlib sees: config, algorithm, env runner, learner, RLModule. All
else is a core that imports without Ray: ``options``, ``spaces``, ``envs``, ``replay``,
``networks``, ``imagination``, ``losses``, ``learning`` and ``reports``. What a record is stands in
``records``, what the letters of shapes mean in ``networks``.

Importing the package imports neither Ray nor TensorFlow; its public names do. "DreamerV3" means
this algorithm, in RLlib and in Tune, as soon as the package is imported.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from rllib_dreamerv3.networks.parameter_count import count_parameters
    from rllib_dreamerv3.plugin.algorithm import DreamerV3
    from rllib_dreamerv3.plugin.config import DreamerV3Config

__all__ = ["DreamerV3", "DreamerV3Config", "count_parameters"]
__version__ = "0.1.0"

_MODULES = {
    "DreamerV3": "rllib_dreamerv3.plugin.algorithm",
    "DreamerV3Config": "rllib_dreamerv3.plugin.config",
    "count_parameters": "rllib_dreamerv3.networks.parameter_count",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


@wrapt.when_imported("ray.rllib.algorithms.registry")
def _replace_in_rllib(registry: ModuleType) -> None:
    # Tune asks RLlib's registry for names that it does not know, and RLlib has another class of
    # this name there, which needs PyTorch.
    def import_ours() -> tuple[type, Any]:
        algorithm = import_module(_MODULES["DreamerV3"])
        return algorithm.DreamerV3, algorithm.DreamerV3.get_default_config()

    registry.ALGORITHMS["DreamerV3"] = import_ours
