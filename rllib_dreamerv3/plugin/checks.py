"""What makes a config wrong: RLlib's options, DreamerV3's own, and the environment."""

import functools
import logging
from typing import Any

from rllib_dreamerv3.envs.registry import check_environment
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.checks import check_options, check_rows_of_learners
from rllib_dreamerv3.options.model_sizes import model_settings, variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.environments import env_context
from rllib_dreamerv3.plugin.registered_environments import (
    is_registered_with_tune,
    register_class,
    register_spec,
)
from rllib_dreamerv3.plugin.rllib_options import check_rllib_options

# What the sizes of v2 have in common.
_LAYERS_OF_V2 = ("prior", "reward", "continue", "actor", "critic", "vector")

logger = logging.getLogger(__name__)


def check(config: Any) -> None:
    """Checks all options.

    Raises:
        ConfigError: For the first option that is wrong; says what it may be.
    """
    check_rllib_options(config)
    check_options({name: getattr(config, name) for name in OPTIONS}, config.num_environments)
    if not config.in_evaluation:
        _check_sampling(config)
    check_rows_of_learners(config.batch_size_B, config.num_learners)
    if config.num_learners == 0 and config.custom_resources_per_learner:
        raise ConfigError(
            "custom_resources_per_learner has no meaning with num_learners: 0, where the learner "
            "is in the main process. Set custom_resources_for_main_process instead."
        )
    if config.variant == "v2" and variant_of(config.model_size) == "v1":
        _warn_of_layers(config.model_size)
    if not (config.env is None or isinstance(config.env, str) or callable(config.env)):
        raise ConfigError(
            f"env must be a name, a class or a function that makes an environment, not "
            f"{config.env!r:.200}. An environment that exists already cannot be copied to other "
            "processes: give its class."
        )
    if isinstance(config.env, str):
        register_spec(config.env)
    # Fails here, in the user's own process, and not later in an env runner's.
    if (
        isinstance(config.env, str)
        and not is_registered_with_tune(config.env)
        and not register_class(config.env)
    ):
        check_environment(config.env, env_context(config, min(1, config.num_env_runners)))


def _check_sampling(config: Any) -> None:
    """Raises ConfigError if options contradict the way of sampling."""
    if not config.samples_beside_learning:
        if config.max_records_ahead != "auto":
            raise ConfigError(
                'max_records_ahead has no meaning with sampling: "synchronous", where env runners '
                'wait for all updates. Leave it out, or set sampling: "asynchronous".'
            )
        return
    if not config.num_env_runners:
        raise ConfigError(
            'sampling: "asynchronous" needs env runners in processes of their own. Set '
            'num_env_runners to at least 1, or sampling: "synchronous".'
        )
    if config.exact_resume:
        raise ConfigError(
            'exact_resume cannot be kept with sampling: "asynchronous", where the clock decides '
            'which records an update sees. Set sampling: "synchronous", or exact_resume: false.'
        )
    if config.max_records_ahead is None:
        return
    if config.batch_mode == "complete_episodes":
        raise ConfigError(
            'batch_mode: "complete_episodes" does not say how many records a call will bring, and '
            'so not, with sampling: "asynchronous", how far env runners get ahead. Set batch_mode: '
            '"truncate_episodes", or max_records_ahead: None.'
        )
    if config.most_records_ahead < config.records_per_round:
        raise ConfigError(
            f"max_records_ahead must be at least {config.records_per_round}, what one call of each "
            "env runner brings (num_env_runners x num_envs_per_env_runner x "
            f"rollout_fragment_length), not {config.max_records_ahead}."
        )


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
