"""Trains the experiment of a tuned example with one seed and keeps its learning curve.

    python benchmarks/learn.py tuned_examples/cartpole.yaml --seed 0 --out curve.jsonl

Every line of the curve is one iteration: env steps, updates, seconds since the start, mean return
of the last 20 training episodes, and the losses. Deterministic up to the order of floating-point
sums in parallel kernels; --threads 1 excludes that.
"""

import argparse
import json
import math
import time
from pathlib import Path

LEARNER_KEYS = (
    "WORLD_MODEL_L_total",
    "WORLD_MODEL_L_decoder",
    "WORLD_MODEL_L_reward",
    "WORLD_MODEL_L_continue",
    "WORLD_MODEL_KL",
    "ACTOR_action_entropy",
    "CRITIC_L_total",
    "DREAM_DATA_returns_mean",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("example", help="YAML file with one experiment")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--env-steps", type=int, help="instead of the example's own stop")
    parser.add_argument("--stop-return", type=float, default=math.inf, help="stop early")
    parser.add_argument("--threads", type=int, help="threads of TensorFlow (default: all cores)")
    parser.add_argument("--compute-dtype", help="instead of the example's own")
    parser.add_argument(
        "--config", type=json.loads, default={}, help="more options, as JSON, e.g. of env runners"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON-lines file of the curve")
    arguments = parser.parse_args()

    import ray
    import tensorflow as tf

    from rllib_cli.experiment_files import from_file
    from rllib_dreamerv3 import DreamerV3Config

    if arguments.threads:
        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
        tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    (experiment,) = from_file(arguments.example)
    env_steps = arguments.env_steps or experiment.stop["num_env_steps_sampled_lifetime"]
    config = DreamerV3Config().update_from_dict({**experiment.config, **arguments.config})
    if arguments.compute_dtype:
        config.training(compute_dtype=arguments.compute_dtype)
    algorithm = config.debugging(seed=arguments.seed).build_algo()

    start = time.monotonic()
    with arguments.out.open("w") as file:
        while True:
            result = algorithm.train()
            learner = result.get("learners", {}).get("default_policy", {})
            row = {
                "env_steps": int(result["num_env_steps_sampled_lifetime"]),
                "updates": int(result.get("num_grad_updates_lifetime", 0)),
                "seconds": round(time.monotonic() - start, 1),
                "return": float(result["env_runners"].get("episode_return_mean", math.nan)),
                "training_ratio": float(result["actual_training_ratio"]),
                **{key: float(learner[key]) for key in LEARNER_KEYS if key in learner},
            }
            print(*(f"{key} {row[key]:g}" for key in list(row)[:4]), sep="  ", flush=True)
            file.write(json.dumps(row) + "\n")
            file.flush()
            if row["env_steps"] >= env_steps or row["return"] >= arguments.stop_return:
                break
    algorithm.stop()


if __name__ == "__main__":
    main()
