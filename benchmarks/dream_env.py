"""How much a dream is worth: a policy's returns in it and in truth, and a planner in the dream.

    python benchmarks/dream_env.py CHECKPOINT --out benchmarks/results/dream_env.json

The environment has to be one that Gymnasium knows. Episodes begin where those in replay began, and
are cut at the environment's own limit. The planner is random shooting: at each step it tries random
sequences of actions in N dreams at once, from a copy of the state, and takes the first action of
the best.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rllib_dreamerv3 import DreamEnv, DreamVectorEnv, load_policy
from rllib_dreamerv3.checkpoints import manifest, policy_file
from rllib_dreamerv3.checkpoints.runs import find_checkpoint
from rllib_dreamerv3.dream_env.vector_env import DreamState

Choose = Callable[[Any], Any]


def play(env: gym.vector.VectorEnv, choose: Choose, seed: int) -> list[float]:
    """Return of the first episode of each environment; they step on until all have ended."""
    observations, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    returns, running = np.zeros(env.num_envs), np.ones(env.num_envs, bool)
    while running.any():
        observations, rewards, terminated, truncated, _ = env.step(choose(observations))
        returns += rewards * running
        running &= ~(terminated | truncated)
    return returns.tolist()


class RandomShooting:
    """Takes the first action of the best of some random sequences, tried in dreams."""

    def __init__(self, dreams: DreamVectorEnv, length: int):
        """Take the dreams to try in.

        Args:
            dreams: One for each sequence.
            length: Actions of each.
        """
        self._dreams, self._length = dreams, length

    def __call__(self, state: DreamState) -> Any:
        """The action to take in a state."""
        n = self._dreams.num_envs
        self._dreams.set_state(state.take([0] * n))
        value, running, first = np.zeros(n), np.ones(n, bool), None
        for _ in range(self._length):
            actions = self._dreams.action_space.sample()
            first = actions if first is None else first
            _, rewards, terminated, truncated, _ = self._dreams.step(actions)
            value += rewards * running
            running &= ~(terminated | truncated)
        best = int(value.argmax())
        return list(gym.vector.utils.iterate(self._dreams.action_space, first))[best]


def plan(env: DreamEnv, planner: RandomShooting, seed: int) -> float:
    """Return of an episode in the dream in which a planner acts."""
    env.reset(seed=seed)
    total, ended = 0.0, False
    while not ended:
        _, reward, terminated, truncated, _ = env.step(planner(env.get_state()))
        total, ended = total + reward, terminated or truncated
    return total


def summarize(returns: list[float]) -> dict[str, Any]:
    return {
        "mean": round(statistics.fmean(returns), 2),
        "std": round(statistics.stdev(returns), 2),
        "episodes": len(returns),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--planned-episodes", type=int, default=10)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--plan-length", type=int, default=25)
    parser.add_argument("--horizon", type=int, help="default: the environment's own limit")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    path, _ = find_checkpoint(arguments.checkpoint)
    saved = policy_file.read(path)
    horizon = arguments.horizon or gym.spec(saved.env).max_episode_steps
    n = arguments.episodes

    def make_dreams(num_envs: int) -> DreamVectorEnv:
        return DreamVectorEnv(path, num_envs, horizon=horizon, begin="first")

    worlds = {
        "truth": gym.make_vec(saved.env, n, vectorization_mode="sync"),
        "dream": make_dreams(n),
    }
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "env": saved.env,
        "env_steps": manifest.verify(path).env_steps,
        "model_size": saved.options["model_size"],
        "horizon": horizon,
    }
    for name, env in worlds.items():
        policy = load_policy(path, seed=1)
        result[f"policy_in_{name}"] = summarize(play(env, policy, seed=1))
        sample = env.action_space.sample
        uniform = play(env, lambda _, sample=sample: sample(), seed=1)
        result[f"random_in_{name}"] = summarize(uniform)
    single = DreamEnv(path, horizon=horizon, begin="first")
    planner = RandomShooting(make_dreams(arguments.candidates), arguments.plan_length)
    seeds = range(arguments.planned_episodes)
    result["planner_in_dream"] = summarize([plan(single, planner, seed) for seed in seeds])
    result["steps_per_second"] = {
        "one": round(steps_per_second(single)),
        str(n): round(steps_per_second(worlds["dream"])),
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


def steps_per_second(env: Any, steps: int = 500) -> float:
    """Steps of all dreams in a second, resets included."""
    env.reset(seed=0)
    began = time.perf_counter()
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if isinstance(env, DreamEnv) and (terminated or truncated):
            env.reset()
    return steps * getattr(env, "num_envs", 1) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
