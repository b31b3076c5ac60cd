"""Import hooks that register "DreamerV3", whether Ray is imported before or after this package.

RLlib has a class of the same name, which needs PyTorch. Tune looks names up in its own registry,
and lets RLlib register its algorithms there if a name is missing. So both registries get our entry
as soon as they exist; the algorithm itself is imported when it is looked up.

The hooks also put TensorFlow into version-2 mode, which RLlib disables if it is imported first.

Tune's table of a trial's config gets the changed options only.

TensorFlow Probability takes more than a second to import. RLlib imports it with itself, for action
distributions that this algorithm does not use; the hooks defer that until they are used.
Does not import Ray.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt

from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

NAME = "DreamerV3"


def install_import_hooks() -> None:
    """Install the hooks; run them immediately for modules that are already imported.

    Raises:
        RuntimeError: As :func:`prepare_tensorflow`.
    """
    wrapt.register_post_import_hook(lambda _: prepare_tensorflow(), "ray.rllib")
    wrapt.register_post_import_hook(_defer_probability, "ray.rllib.utils.framework")
    wrapt.register_post_import_hook(_register_with_rllib, "ray.rllib.algorithms.registry")
    wrapt.register_post_import_hook(_register_with_tune, "ray.tune.registry")
    wrapt.register_post_import_hook(_shorten_config_tables, "ray.tune.experimental.output")


def import_algorithm() -> Any:
    """Return the algorithm's class; import Ray and TensorFlow."""
    return getattr(import_module("rllib_dreamerv3"), NAME)


class _PickledAsTheClass:
    """An object that is unpickled as the algorithm's class."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_algorithm, ()


class _DeferredProbability:
    """TensorFlow Probability, imported when a name of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("tensorflow_probability"), name)


def _defer_probability(framework: ModuleType) -> None:
    framework.try_import_tfp = lambda error=False: _DeferredProbability()  # type: ignore[attr-defined]


def _register_with_rllib(registry: ModuleType) -> None:
    def algorithm_and_config() -> tuple[Any, Any]:
        algorithm = import_algorithm()
        return algorithm, algorithm.get_default_config()

    registry.ALGORITHMS[NAME] = algorithm_and_config


def _register_with_tune(registry: ModuleType) -> None:
    # The registry stores pickles, since Ray's workers read it too. register_trainable() would need
    # the class now.
    registry._global_registry.register(registry.TRAINABLE_CLASS, NAME, _PickledAsTheClass())


def _shorten_config_tables(output: ModuleType) -> None:
    def print_config(*args: Any) -> None:
        module = import_module("rllib_dreamerv3.plugin.tune.trial_table")
        module.print_changed_options(*args)

    wrapt.wrap_function_wrapper(output, "ProgressReporter._print_config", print_config)
