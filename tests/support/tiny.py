"""The smallest configurations that still do everything, for integration tests."""

from typing import Any

from rllib_dreamerv3 import DreamerV3Config

# A nano model on 2 x 8 records, one update for each record.
TINY: dict[str, Any] = {
    "model_size": "nano",
    "batch_size_B": 2,
    "batch_length_T": 8,
    "horizon_H": 3,
    "training_ratio": 16,
    "num_steps_sampled_before_learning_starts": 32,
    "replay_buffer_config": {"capacity": 10_000},
}


def tiny_config(env: Any = "CartPole-v1", **training: Any) -> DreamerV3Config:
    """A config whose iteration is one update."""
    config = DreamerV3Config().environment(env).training(**{**TINY, **training})
    config.reporting(min_time_s_per_iteration=0)
    config.debugging(seed=1)
    return config
