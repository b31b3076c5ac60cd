"""From the options of a config to what the networks and the trainer are told."""

from typing import Any

from rllib_dreamerv3.options.model_sizes import ModelSettings, model_settings
from rllib_dreamerv3.options.settings import (
    AdamSettings,
    LaPropSettings,
    TrainerSettings,
    WorldModelScales,
)
from rllib_dreamerv3.options.variants import NETWORK_OPTIONS

LearningRate = float | list[list[int | float]]
"""A number, or a schedule ``[[env step, rate], ...]``."""

# Options of variants that the trainer takes under their own names.
_TRAINER_OPTIONS = (
    "actor_grad",
    "two_hot_bins",
    "discount_in_continue",
    "imagined_continues",
    "replay_critic_scale",
    "replay_context",
    "optimizer_type",
)


def model_settings_of(config: Any) -> ModelSettings:
    """Everything that decides the networks.

    Raises:
        ConfigError: If a name is unknown, or the options contradict each other.
    """
    set_here = {name: getattr(config, name) for name in NETWORK_OPTIONS}
    return model_settings(
        config.model_size,
        config.variant,
        vector_mlp=config.vector_mlp,
        unimix=config.unimix,
        symlog_vectors=config.symlog_obs is not False,
        compute_dtype=config.compute_dtype,
        **{name: value for name, value in set_here.items() if value is not None},
    )


def learning_rates_of(config: Any) -> dict[str, LearningRate]:
    """Rate, or schedule, of each optimizer, under the names that the trainer gives them."""
    if config.resolved("optimizer_type") == "laprop":
        return {"all": LaPropSettings.learning_rate if config.lr is None else config.lr}
    return {
        "world_model": config.world_model_lr,
        "actor": config.actor_lr,
        "critic": config.critic_lr,
    }


def trainer_settings_of(config: Any) -> TrainerSettings:
    """Everything that decides an update; schedules begin with their first rate."""
    rates = {
        name: rate[0][1] if isinstance(rate, list | tuple) else rate
        for name, rate in learning_rates_of(config).items()
    }

    def adam(part: str, epsilon: float) -> AdamSettings:
        clip = getattr(config, f"{part}_grad_clip_by_global_norm")
        return AdamSettings(rates[part], epsilon, clip)

    if "all" in rates:
        optimizers: dict[str, Any] = {
            "laprop": LaPropSettings(rates["all"], config.adaptive_grad_clip, config.lr_warmup)
        }
    else:
        optimizers = {
            "world_model": adam("world_model", 1e-8),
            "actor": adam("actor", 1e-5),
            "critic": adam("critic", 1e-5),
        }
    by_variant = {name: config.resolved(name) for name in _TRAINER_OPTIONS}
    return TrainerSettings(
        horizon=config.horizon_H,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        entropy_scale=config.entropy_scale,
        return_decay=config.return_normalization_decay,
        slow_critic_decay=config.slow_critic_decay,
        slow_critic_scale=config.slow_critic_scale,
        world_model_scales=WorldModelScales(
            prediction=config.prediction_loss_scale,
            dynamics=config.resolved("dynamics_loss_scale"),
            representation=config.representation_loss_scale,
            free_nats=config.free_nats,
        ),
        **by_variant,
        **optimizers,
    )
