"""Runs with one planted failure each, and healthy ones, for `rllib doctor` to tell apart.

    python benchmarks/planted_failures.py --out benchmarks/results/doctor [NAME ...]

Each takes two to five minutes and leaves what the doctor looks at of its results, as JSON lines.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

SMALL: dict[str, Any] = {
    "model_size": "micro",
    "training_ratio": 64,
    "batch_size_B": 8,
    "batch_length_T": 32,
    "num_steps_sampled_before_learning_starts": 512,
    "min_time_s_per_iteration": 5,
    "seed": 1,
}
LEARNER = "learners/default_policy"
KEPT = (
    *(f"env_runners/episode_return_{name}" for name in ("mean", "min", "max")),
    "env_runners/episode_len_mean",
    *(f"{LEARNER}/WORLD_MODEL_L_{name}" for name in ("total", "decoder", "continue")),
    *(f"{LEARNER}/WORLD_MODEL_{name}" for name in ("KL", "gradients_global_norm")),
    *(f"{LEARNER}/ACTOR_value_targets_pct{name}_ema" for name in (5, 95)),
    f"{LEARNER}/ACTOR_action_entropy",
    *(f"replay_buffer/num_{name}" for name in ("records", "episodes_stored")),
    *(f"replay_buffer/num_env_steps_{name}_lifetime" for name in ("added", "evicted")),
    "replay_buffer/constant_observations",
    "timers/learn",
    "timers/sample",
    "actual_training_ratio",
    "num_env_steps_sampled_lifetime",
    "num_grad_updates_lifetime",
    "num_updates_ignored",
    "num_rewinds",
)


class TinyReward(gym.RewardWrapper):
    """CartPole whose rewards are scaled by 1e-6."""

    def __init__(self, env_config: Any):
        super().__init__(gym.make("CartPole-v1"))

    def reward(self, reward: Any) -> float:
        return float(reward) * 1e-6


class Frozen(gym.ObservationWrapper):
    """CartPole seen by a sensor that hangs."""

    def __init__(self, env_config: Any):
        super().__init__(gym.make("CartPole-v1"))

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return np.array([0.1, 0.0, 0.0, 0.0], np.float32)


class ConstantReward(gym.Env):
    """Every step of its episodes of 50 is rewarded with 1."""

    observation_space = gym.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, env_config: Any):
        self._time, self._place = 0, np.zeros(4, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._time, self._place = 0, self.np_random.uniform(-1, 1, 4).astype(np.float32)
        return self._place, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._time += 1
        self._place = np.clip(self._place + 0.1 * (2 * action - 1), -1, 1).astype(np.float32)
        return self._place, 1.0, False, self._time >= 50, {}


FASTER = {"world_model_lr": 1e-3, "actor_lr": 3e-4, "critic_lr": 3e-4}
RATES = {"world_model_lr": 1e-2, "actor_lr": 3e-3, "critic_lr": 3e-3}


class Run(NamedTuple):
    """An environment, options beside ``SMALL``, and how long to train."""

    env: Any
    options: Mapping[str, Any] = MappingProxyType({})
    env_steps: int = 6000


RUNS = {
    "healthy_cartpole": Run("CartPole-v1", {**FASTER, "training_ratio": 256}),
    "healthy_frozenlake": Run(
        "FrozenLake-v1",
        {
            **FASTER,
            "env_config": {"desc": ["SF", "HG"], "is_slippery": False},
            "model_size": "nano",
            "training_ratio": 256,
            "batch_size_B": 16,
            "batch_length_T": 16,
            "num_steps_sampled_before_learning_starts": 256,
        },
        2000,
    ),
    "healthy_catch": Run(
        "Catch-v0",
        {
            "world_model_lr": 2e-3,
            "actor_lr": 5e-4,
            "critic_lr": 5e-4,
            "training_ratio": 160,
            "batch_length_T": 20,
            "horizon_H": 10,
            "gamma": 0.95,
            "entropy_scale": 1e-3,
        },
        3000,
    ),
    "reward_scaled_by_1e-6": Run(TinyReward),
    "observation_frozen": Run(Frozen),
    # With the micro model such rates learn CartPole faster.
    "learning_rates_times_100": Run("CartPole-v1", {**RATES, "model_size": "XXS"}),
    "replay_of_300": Run(
        "CartPole-v1",
        {
            "replay_buffer_config": {"capacity": 300},
            "num_steps_sampled_before_learning_starts": 128,
        },
    ),
    "entropy_times_100": Run("CartPole-v1", {"entropy_scale": 0.03}),
    "reward_constant": Run(ConstantReward),
}


def train(name: str, out: Path) -> None:
    """Trains, and keeps the results."""
    from ray.tune.utils import flatten_dict

    from rllib_dreamerv3 import DreamerV3Config

    env, options, env_steps = RUNS[name]
    algorithm = (
        DreamerV3Config().update_from_dict({**SMALL, **options}).environment(env).build_algo()
    )
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{name}.jsonl").open("w") as file:
        sampled = 0
        while sampled < env_steps:
            result = algorithm.train()
            sampled = result["num_env_steps_sampled_lifetime"]
            flat = flatten_dict(result)
            kept = {name: float(f"{flat[name]:.6g}") for name in KEPT if name in flat}
            kept["config"] = {key: result["config"][key] for key in sorted({*SMALL, *options})}
            file.write(json.dumps(kept) + "\n")
            file.flush()
    algorithm.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*RUNS], help="which runs (default: all)")
    parser.add_argument("--out", type=Path, required=True, help="directory")
    arguments = parser.parse_args()

    import ray

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    for name in arguments.names:
        print(name, flush=True)
        train(name, arguments.out)


if __name__ == "__main__":
    main()
