"""The smallest configurations that still do everything, for integration tests."""

from typing import Any

import tiny_run

from rllib_dreamerv3 import DreamerV3Config

TINY: dict[str, Any] = {**tiny_run.TINY, "replay_buffer_config": {"capacity": 10_000}}


def tiny_config(env: Any = "CartPole-v1", **training: Any) -> DreamerV3Config:
    """A config whose iteration is one update."""
    config = DreamerV3Config().environment(env).training(**{**TINY, **training})
    config.reporting(min_time_s_per_iteration=0)
    config.debugging(seed=1)
    return config
