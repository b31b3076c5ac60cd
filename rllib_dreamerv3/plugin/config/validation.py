"""Validates a config: RLlib's options, DreamerV3's options, and contradictions between them."""

import functools
import logging
from typing import Any

from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.envs.registry import check_environment
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.model_sizes import model_settings, variant_of
from rllib_dreamerv3.options.option_checks import check_options, check_rows_of_learners
from rllib_dreamerv3.options.replay_sampling import fractions_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.config.rllib_options import check_rllib_options
from rllib_dreamerv3.plugin.sampling.environments import (
    env_context,
    is_registered_with_tune,
    register_class,
    register_spec,
)
from rllib_dreamerv3.startup.versions import untried_ray

# Parts with the same number of layers in all sizes of v2.
_LAYERS_OF_V2 = ("prior", "reward", "continue", "actor", "critic", "vector")

logger = logging.getLogger(__name__)


def check(config: Any) -> None:
    """Check all options, each alone and against the others.

    Raises:
        ConfigError: For the first invalid option; says which values are valid.
    """
    _warn_of_ray()
    check_rllib_options(config)
    check_options({name: getattr(config, name) for name in OPTIONS}, config.num_environments)
    if not config.in_evaluation:
        _check_sampling(config)
        _check_data(config)
    check_rows_of_learners(config.batch_size_B, config.num_learners)
    if config.num_learners == 0 and config.custom_resources_per_learner:
        raise ConfigError(
            "custom_resources_per_learner has no effect with num_learners: 0, where the learner "
            "is in the main process. Set custom_resources_for_main_process instead."
        )
    if config.variant == "v2" and variant_of(config.model_size) == "v1":
        _warn_of_layers(config.model_size)
    if not (config.env is None or isinstance(config.env, str) or callable(config.env)):
        raise ConfigError(
            f"env must be a name, a class or a function that makes an environment, not "
            f"{config.env!r:.200}. An existing environment cannot be copied to other processes: "
            "give its class."
        )
    if isinstance(config.env, str):
        register_spec(config.env)
    # Fail in the user's process rather than later in an env runner's.
    if (
        isinstance(config.env, str)
        and not is_registered_with_tune(config.env)
        and not register_class(config.env)
    ):
        check_environment(config.env, env_context(config, min(1, config.num_env_runners)))


def _check_sampling(config: Any) -> None:
    """Raise ConfigError if options contradict synchronous or asynchronous sampling."""
    if not config.samples_asynchronously:
        if config.max_records_ahead != "auto":
            raise ConfigError(
                'max_records_ahead has no effect with sampling: "synchronous", where env runners '
                'wait for all updates. Leave it out, or set sampling: "asynchronous".'
            )
        return
    if not config.num_env_runners:
        raise ConfigError(
            'sampling: "asynchronous" needs remote env runners. Set num_env_runners to at least 1, '
            'or sampling: "synchronous".'
        )
    if config.exact_resume:
        raise ConfigError(
            'exact_resume is impossible with sampling: "asynchronous", where timing decides which '
            'records an update sees. Set sampling: "synchronous", or exact_resume: false.'
        )
    if config.max_records_ahead is None:
        return
    if config.batch_mode == "complete_episodes":
        raise ConfigError(
            'With batch_mode: "complete_episodes" the number of records per call is unknown, so '
            'max_records_ahead cannot limit sampling: "asynchronous". Set batch_mode: '
            '"truncate_episodes", or max_records_ahead: None.'
        )
    if config.most_records_ahead < config.records_per_round:
        raise ConfigError(
            f"max_records_ahead must be at least {config.records_per_round}, the records of one "
            "call of each env runner (num_env_runners x num_envs_per_env_runner x "
            f"rollout_fragment_length), not {config.max_records_ahead}."
        )


def _check_data(config: Any) -> None:
    """Raise ConfigError if options of recorded data contradict others.

    Without an environment, take its spaces from the data.
    """
    _check_is_local("output", [config.output] if config.output else [])
    _check_is_local("input_", config.recorded_data)
    if not config.recorded_data:
        if config.pretrain_updates is not None:
            raise ConfigError("pretrain_updates needs recorded data. Set input_, or leave it out.")
        for way in fractions_of(config.replay_buffer_options()["sampling"]):
            if way in ("recorded", "sampled"):
                raise ConfigError(
                    f"sampling: {way!r} in replay_buffer_config needs recorded data. Set input_, "
                    "or draw 'uniform'."
                )
        return
    if config.never_samples:
        if config.num_env_runners:
            raise ConfigError(
                f"num_env_runners: {config.num_env_runners} has no effect with input_ without "
                "pretrain_updates, where nothing is sampled. Leave it out, or set "
                "pretrain_updates to the updates after which sampling begins."
            )
        if config.output:
            raise ConfigError(
                "output records what is sampled, and with input_ without pretrain_updates nothing "
                "is. Leave it out."
            )
    if config.env is not None:
        return
    if not config.never_samples:
        raise ConfigError(
            "pretrain_updates needs an environment, in which sampling begins after them. Set one "
            "with .environment(), or leave pretrain_updates out."
        )
    if config.evaluation_interval:
        raise ConfigError(
            "evaluation_interval needs an environment. Set one with .environment(), or leave "
            "evaluation_interval out."
        )
    if config.observation_space is None or config.action_space is None:
        spaces = next((x.spaces for x in map(open_dataset, config.recorded_data) if x.spaces), None)
        if spaces is None:
            raise ConfigError(
                "The recorded data does not have the spaces of its environment. Name it with "
                ".environment(env), or give .environment(observation_space=..., action_space=...)."
            )
        config.observation_space, config.action_space = spaces


def _check_is_local(option: str, places: list[str]) -> None:
    """Raise ConfigError for a URI; absolute paths have no two slashes in a row."""
    for place in places:
        if "://" in place:
            raise ConfigError(
                f"{option}: {place!r} is a URI, but recorded data must be in a directory. Give the "
                "path of a local one, or of one that all machines share."
            )


@functools.cache
def _warn_of_ray() -> None:
    """Warn once about a Ray that pip would not have installed with this package."""
    if message := untried_ray():
        logger.warning("%s", message)


@functools.cache
def _warn_of_layers(size: str) -> None:
    """Warn once about a v1 size in variant v2, which works but was never published."""
    own, published = model_settings(size, "v2"), model_settings("1M")
    names = [f"{part}_layers" for part in _LAYERS_OF_V2]
    layers = [(name, getattr(own, name), getattr(published, name)) for name in names]
    differing = [f"{name} {x} instead of {y}" for name, x, y in layers if x != y]
    logger.warning(
        "variant 'v2' with model_size %r, a size of v1, is not a published network: its numbers of "
        "layers differ, %s. The sizes of v2 are 1M to 400M.",
        size,
        ", ".join(differing),
    )
