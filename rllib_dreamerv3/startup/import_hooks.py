"""What has to happen when Ray is imported, before or after this package. Imports nothing of Ray.

"DreamerV3" shall mean this algorithm. RLlib has a class of the same name, which needs PyTorch. Tune
looks names up in a table of its own, and asks RLlib to enter all of RLlib's algorithms there if it
does not find one. So both tables get an entry of ours as soon as they exist; the algorithm itself
is imported when somebody looks it up.

TensorFlow shall be in version-2 mode. RLlib switches that off if it is the first to import it.

TensorFlow Probability takes more than a second to import. RLlib imports it with itself, for action
distributions that this algorithm does not have: now when they are used.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt

from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

NAME = "DreamerV3"


def install_import_hooks() -> None:
    """Does what has to happen at the imports, or at once for modules that are there already.

    Raises:
        RuntimeError: See :func:`prepare_tensorflow`.
    """
    wrapt.register_post_import_hook(lambda _: prepare_tensorflow(), "ray.rllib")
    wrapt.register_post_import_hook(_defer_probability, "ray.rllib.utils.framework")
    wrapt.register_post_import_hook(_enter_in_rllib, "ray.rllib.algorithms.registry")
    wrapt.register_post_import_hook(_enter_in_tune, "ray.tune.registry")


def import_algorithm() -> Any:
    """The algorithm's class; imports Ray and TensorFlow."""
    return getattr(import_module("rllib_dreamerv3"), NAME)


class _PickledAsTheClass:
    """An object that turns into the algorithm's class when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_algorithm, ()


class _DeferredProbability:
    """TensorFlow Probability, imported when a name of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("tensorflow_probability"), name)


def _defer_probability(framework: ModuleType) -> None:
    framework.try_import_tfp = lambda error=False: _DeferredProbability()  # type: ignore[attr-defined]


def _enter_in_rllib(registry: ModuleType) -> None:
    def algorithm_and_config() -> tuple[Any, Any]:
        algorithm = import_algorithm()
        return algorithm, algorithm.get_default_config()

    registry.ALGORITHMS[NAME] = algorithm_and_config


def _enter_in_tune(registry: ModuleType) -> None:
    # The table holds pickles, for Ray's workers read it too. register_trainable() would need the
    # class now.
    registry._global_registry.register(registry.TRAINABLE_CLASS, NAME, _PickledAsTheClass())
