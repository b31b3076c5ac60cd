"""Resident memory of a run over many updates, with callbacks on episodes that rarely end.

    python benchmarks/memory.py --updates 5000 --out memory.json

Replay is full before the first measured update, so memory should not grow.
"""

import argparse
import json
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
from checkpoints import Picture, resident_bytes
from tiny_run import TINY

from rllib_dreamerv3 import DreamerV3Config

CAPACITY = 2000
EPISODE_STEPS = 10_000
OPTIONS = {
    **TINY,
    "training_ratio": 4,
    "num_steps_sampled_before_learning_starts": 1000,
    "replay_buffer_config": {"capacity": CAPACITY},
}


def on_episode_step(*, episode, metrics_logger, **_) -> None:
    """Look at what callbacks look at."""
    metrics_logger.log_value("brightness", float(np.mean(episode.get_observations(-1))))


def main() -> None:
    """Train, and write down what is resident."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=5000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    gym.register("Picture-v0", lambda: Picture({"side": 64}), max_episode_steps=EPISODE_STEPS)
    config = DreamerV3Config().environment("Picture-v0").training(**OPTIONS)
    config.callbacks(on_episode_step=on_episode_step).debugging(seed=0)
    algorithm = config.reporting(min_time_s_per_iteration=5).build_algo()
    algorithm.train()
    while algorithm.replay_buffer.metrics()["num_records"] < CAPACITY:
        algorithm.train()
    rows, began = [], time.monotonic()
    while True:
        result = algorithm.train()
        row = {
            "updates": int(result["num_grad_updates_lifetime"]),
            "env_steps": int(result["num_env_steps_sampled_lifetime"]),
            "seconds": round(time.monotonic() - began),
            "resident_mb": round(resident_bytes() / 1e6, 1),
        }
        if not rows or row["updates"] - rows[-1]["updates"] >= arguments.updates // 20:
            rows.append(row)
            print(json.dumps(row), flush=True)
        if row["updates"] - rows[0]["updates"] >= arguments.updates:
            break
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")
    algorithm.stop()


if __name__ == "__main__":
    main()
