"""Environments with nested observations, several actions and action masks are learned."""

import learnable
import pytest
from tiny import tiny_config

RATES = {
    "v1": {"world_model_lr": 3e-3, "actor_lr": 3e-4, "critic_lr": 1e-3},
    "v2": {"lr": 2e-3, "lr_warmup": 100},
}


@pytest.mark.compiled
@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "variant"), [("nested", "v2"), ("two answers", "v2"), ("masked", "v1")]
)
def test_clues_are_learned(build, name, variant):
    """Within 2,000 env steps the return is clearly above that of a policy blind to the clues."""
    env, blind = learnable.LEARNABLE[name]
    config = tiny_config(
        env,
        variant=variant,
        model_size="micro",
        batch_size_B=8,
        batch_length_T=16,
        training_ratio=128,
        num_steps_sampled_before_learning_starts=128,
        gamma=0.5,
        entropy_scale=0.01,
        **RATES[variant],
    )
    config.reporting(min_time_s_per_iteration=2)
    algorithm = build(config)
    result = algorithm.train()
    goal = (blind + learnable.STEPS) / 2
    while (
        not result["env_runners"]["episode_return_mean"] >= goal
        and result["num_env_steps_sampled_lifetime"] < 2000
    ):
        result = algorithm.train()
    assert result["env_runners"]["episode_return_mean"] >= goal
