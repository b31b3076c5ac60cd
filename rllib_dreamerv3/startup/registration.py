"""Makes "DreamerV3" mean this algorithm, in RLlib and in Tune, and imports neither.

RLlib has a class of the same name, which needs PyTorch. Tune looks names up in a table of its own
first, and asks RLlib to enter all of RLlib's algorithms there if it does not find one. So both
tables get an entry of ours as soon as the module with the table is imported, or at once if it has
been. An entry imports the algorithm only when somebody looks it up.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt

NAME = "DreamerV3"


def register_when_imported() -> None:
    """Enters the algorithm in both tables, now or when Ray is imported."""
    wrapt.register_post_import_hook(_enter_in_rllib, "ray.rllib.algorithms.registry")
    wrapt.register_post_import_hook(_enter_in_tune, "ray.tune.registry")


def import_algorithm() -> Any:
    """The algorithm's class; imports Ray and TensorFlow."""
    return getattr(import_module("rllib_dreamerv3"), NAME)


class _PickledAsTheClass:
    """Is our class wherever it is unpickled.

    Tune's table holds pickles, which it also hands to Ray's workers.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return import_algorithm, ()


def _enter_in_rllib(registry: ModuleType) -> None:
    def with_config() -> tuple[Any, Any]:
        algorithm = import_algorithm()
        return algorithm, algorithm.get_default_config()

    registry.ALGORITHMS[NAME] = with_config


def _enter_in_tune(registry: ModuleType) -> None:
    registry._global_registry.register(registry.TRAINABLE_CLASS, NAME, _PickledAsTheClass())
