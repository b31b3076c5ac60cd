"""A training run of this project, as a process that does one iteration for each line.

Ready means: algorithm, environment and networks are there, and nothing has been sampled.
"""

import argparse
import json
import math
import time

from peers.protocol import Answers
from peers.workloads import add_training_arguments, training_options


def main() -> None:
    """Build the algorithm, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_training_arguments(parser)
    parser.add_argument("--own-config", type=json.loads, default={}, help="more training options")
    parser.add_argument("--env-runners", type=int, default=0, help="actors that sample")
    options = parser.parse_args()
    answers = Answers()

    import ray
    import tensorflow as tf

    from rllib_dreamerv3 import DreamerV3Config, __version__

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    cpus = max(options.threads, 1 + options.env_runners)
    ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False)
    config = (
        DreamerV3Config()
        .environment(options.env)
        .training(
            **training_options(options),
            compute_dtype="float32",  # as RLlib's
            # RLlib begins with as many env steps.
            num_steps_sampled_before_learning_starts=options.batch * options.length,
            **options.own_config,
        )
        .env_runners(num_env_runners=options.env_runners)
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
        episode_return = result["env_runners"].get("episode_return_mean", math.nan)
        return {
            "seconds": time.perf_counter() - began,
            "env_steps": int(result["num_env_steps_sampled_lifetime"]),
            "updates": int(result.get("num_grad_updates_lifetime", 0)),
            "return": None if math.isnan(episode_return) else float(episode_return),
        }

    answers.serve({"program": f"rllib_dreamerv3 {__version__}, TensorFlow {tf.__version__}"}, train)


if __name__ == "__main__":
    main()
