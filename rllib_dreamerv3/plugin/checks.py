"""What makes a config wrong: options alone, and options against each other."""

from typing import Any

from rllib_dreamerv3.envs.registry import check_environment
from rllib_dreamerv3.errors import ConfigError, unknown_name
from rllib_dreamerv3.options.limits import LIMITS, POSITIVE_WHOLE
from rllib_dreamerv3.options.variants import CHOICES
from rllib_dreamerv3.plugin.registered_environments import is_registered_with_tune

REPLAY_DEFAULTS: dict[str, Any] = {
    "type": "EpisodeReplayBuffer",
    "capacity": None,
    "capacity_bytes": None,
}

ADAM_OPTIONS: dict[str, float] = {
    "world_model_lr": 1e-4,
    "actor_lr": 3e-5,
    "critic_lr": 3e-5,
    "world_model_grad_clip_by_global_norm": 1000.0,
    "actor_grad_clip_by_global_norm": 100.0,
    "critic_grad_clip_by_global_norm": 100.0,
}
"""Options of the three Adams and their defaults."""


def check(config: Any) -> None:
    """Checks all options of DreamerV3.

    Raises:
        ConfigError: For the first option that is wrong; says what it may be.
    """
    _check_values(config)
    _check_replay(config)
    _check_contradictions(config)
    _check_rllib_options(config)
    # Fails here, in the user's own process, and not later in an env runner's.
    if isinstance(config.env, str) and not is_registered_with_tune(config.env):
        check_environment(config.env, config.env_config)


def _check_values(config: Any) -> None:
    if config.framework_str != "tf2":
        raise ConfigError(f"framework must be 'tf2', not {config.framework_str!r}.")
    for name, choices in CHOICES.items():
        value = getattr(config, name)
        if value is not None and value not in choices:
            words = " or ".join(map(repr, choices))
            raise ConfigError(f"{name} must be {words}, not {value!r}.")
    # Refuses an unknown size before the size decides any default.
    config.model_settings()
    for name, limit in LIMITS.items():
        value = config.resolved(name)
        if value is None and name in ("image_size", "lr"):
            continue
        if not limit.test(value):
            raise ConfigError(f"{name} must be {limit.words}, not {value!r}.")


def _check_replay(config: Any) -> None:
    replay = config.replay_buffer_config
    for key in replay:
        if key not in REPLAY_DEFAULTS:
            raise unknown_name("replay_buffer_config key", key, REPLAY_DEFAULTS)
    if replay["type"] != REPLAY_DEFAULTS["type"]:
        raise ConfigError(
            f"replay_buffer_config type must be {REPLAY_DEFAULTS['type']!r}: DreamerV3 "
            f"replays rows of records, {replay['type']!r} does not."
        )
    capacity = config.replay_capacity
    row = config.resolved("replay_context") + config.batch_length_T
    needed = config.num_steps_sampled_before_learning_starts + row
    if not POSITIVE_WHOLE.test(capacity) or capacity < needed:
        raise ConfigError(
            f"replay_buffer_config capacity must be a whole number of at least {needed} "
            "records (num_steps_sampled_before_learning_starts + one row), not "
            f"{capacity!r}: training would never start."
        )


def _check_contradictions(config: Any) -> None:
    if config.resolved("optimizer_type") == "adam":
        if config.lr is not None:
            raise ConfigError(
                "lr has no meaning with three Adams; set world_model_lr, actor_lr and critic_lr, "
                'or optimizer_type: "laprop".'
            )
    else:
        for name, default in ADAM_OPTIONS.items():
            if getattr(config, name) != default:
                raise ConfigError(
                    f"{name} has no meaning with one LaProp for all networks; set lr and "
                    f'adaptive_grad_clip, or optimizer_type: "adam".'
                )
    if config.resolved("discount_in_continue") and config.resolved("imagined_continues") == "mode":
        raise ConfigError(
            "discount_in_continue puts the discount into the predicted probability to go on, which "
            'imagined_continues: "mode" does not use: nothing would be discounted. Set '
            'imagined_continues: "probability", or discount_in_continue: false.'
        )


def _check_rllib_options(config: Any) -> None:
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
