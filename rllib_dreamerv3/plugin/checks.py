"""What makes a config wrong: DreamerV3's own options, RLlib's, and the environment."""

import functools
import logging
from typing import Any

from rllib_dreamerv3.envs.registry import check_environment
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.checks import check_options
from rllib_dreamerv3.options.model_sizes import model_settings, variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.registered_environments import is_registered_with_tune

# What the sizes of v2 have in common.
_LAYERS_OF_V2 = ("prior", "reward", "continue", "actor", "critic", "vector")

logger = logging.getLogger(__name__)


def check(config: Any) -> None:
    """Checks all options of DreamerV3.

    Raises:
        ConfigError: For the first option that is wrong; says what it may be.
    """
    check_options({name: getattr(config, name) for name in OPTIONS}, config.num_environments)
    _check_rllib_options(config)
    if config.variant == "v2" and variant_of(config.model_size) == "v1":
        _warn_of_layers(config.model_size)
    # Fails here, in the user's own process, and not later in an env runner's.
    if isinstance(config.env, str) and not is_registered_with_tune(config.env):
        check_environment(config.env, config.env_config)


@functools.cache
def _warn_of_layers(size: str) -> None:
    """Warns once of a size of v1 in variant v2: it works, but results do not compare."""
    own, published = model_settings(size, "v2"), model_settings("1M")
    names = [f"{part}_layers" for part in _LAYERS_OF_V2]
    layers = [(name, getattr(own, name), getattr(published, name)) for name in names]
    differing = [f"{name} {x} instead of {y}" for name, x, y in layers if x != y]
    logger.warning(
        "variant 'v2' with model_size %r, a size of v1, is no network that was published: the size "
        "decides the numbers of layers, which are %s. The sizes of v2 are 1M to 400M.",
        size,
        ", ".join(differing),
    )


def _check_rllib_options(config: Any) -> None:
    if config.framework_str != "tf2":
        raise ConfigError(f"framework must be 'tf2', not {config.framework_str!r}.")
    if config.num_learners:
        if config.batch_size_B % config.num_learners:
            raise ConfigError(
                f"batch_size_B ({config.batch_size_B}) must be divisible by num_learners "
                f"({config.num_learners})."
            )
        raise ConfigError(
            f"num_learners is {config.num_learners}, but remote learners do not exist yet in "
            "this version. Set num_learners: 0; the learner then runs in the main process, "
            "on a GPU if num_gpus_per_learner: 1."
        )
    if config.train_batch_size is not None:
        raise ConfigError(
            "train_batch_size has no meaning here; set batch_size_B and batch_length_T."
        )
    if config._env_to_module_connector or config._module_to_env_connector:
        raise ConfigError(
            "DreamerV3's env runners use no connectors. Wrap the environment with "
            "gymnasium.wrappers instead of setting env_to_module_connector or "
            "module_to_env_connector."
        )
    if config.is_multi_agent:
        raise ConfigError("DreamerV3 trains a single agent; remove the multi_agent settings.")
