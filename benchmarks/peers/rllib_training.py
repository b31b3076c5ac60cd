"""A training run of RLlib's own DreamerV3 (PyTorch), as a process: one iteration for each line.

Its environment is that of :mod:`peers.rllib_update`. Ready means: algorithm, environment and
networks are there, and nothing has been sampled. Returns are averaged here: RLlib's results
average those of one iteration only, however many episodes they are to be smoothed over. An
iteration's mean counts once for each of its episodes.
"""

import argparse
import statistics
import time
from collections import deque

from peers.protocol import Answers
from peers.workloads import add_training_arguments, training_options


def main() -> None:
    """Build the algorithm, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_training_arguments(parser)
    options = parser.parse_args()
    answers = Answers()

    import ray
    import torch
    from ray.rllib.algorithms.dreamerv3 import DreamerV3Config

    torch.set_num_threads(options.threads)
    ray.init(num_cpus=options.threads, include_dashboard=False, log_to_driver=False)
    returns: deque[float] = deque(maxlen=options.episodes)

    config = (
        DreamerV3Config()
        .environment(options.env)
        .training(**training_options(options))
        .env_runners(num_env_runners=0)
        .learners(num_learners=0)
        .reporting(
            min_time_s_per_iteration=options.iteration_seconds,
            metrics_num_episodes_for_smoothing=options.episodes,
        )
        .debugging(seed=options.seed)
    )
    algorithm = config.build_algo()

    def train() -> dict[str, float | None]:
        began = time.perf_counter()
        result = algorithm.train()
        episodes = int(result["env_runners"].get("num_episodes", 0))
        if episodes and "episode_return_mean" in result["env_runners"]:
            returns.extend([float(result["env_runners"]["episode_return_mean"])] * episodes)
        return {
            "seconds": time.perf_counter() - began,
            "env_steps": int(result["num_env_steps_sampled_lifetime"]),
            "updates": int(result.get("num_grad_updates_lifetime", 0)),
            "return": statistics.mean(returns) if returns else None,
        }

    answers.serve({"program": f"RLlib {ray.__version__}, PyTorch {torch.__version__}"}, train)


if __name__ == "__main__":
    main()
