"""The way of weights from the learner to env runners, as a process that sends them for each line.

As asynchronous sampling does it: the weights that act are fetched from the learner, put into Ray's
object store once, and each env runner is sent a reference to them. What is timed ends when the last
env runner has them in its policy. Ready means: all processes are there. Nothing is ever trained.
"""

import argparse
import time
from typing import Any

from peers.protocol import Answers

BYTES_OF_A_PARAMETER = 4


def main() -> None:
    """Build the algorithm, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model-size", required=True)
    parser.add_argument("--num-learners", type=int, default=0, help="0: in this process")
    parser.add_argument("--env-runners", type=int, default=2, help="actors that get weights")
    options = parser.parse_args()
    answers = Answers()

    import ray
    import tensorflow as tf
    from ray.rllib.core import COMPONENT_RL_MODULE
    from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO

    from rllib_dreamerv3 import DreamerV3Config, __version__
    from rllib_dreamerv3.plugin.learners.group import ask_learner

    cpus = 1 + options.num_learners
    ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False)
    algorithm = (
        DreamerV3Config()
        .environment("CartPole-v1")
        # Replay stays empty; the default capacity could exceed the memory and be rejected.
        .training(model_size=options.model_size, replay_buffer_config={"capacity": 10_000})
        .env_runners(
            num_env_runners=options.env_runners, num_cpus_per_env_runner=1 / options.env_runners
        )
        .learners(num_learners=options.num_learners)
        .debugging(seed=0)
    ).build_algo()
    # Env runners ignore weights whose number is not higher than the last one.
    number = 0

    def synchronise() -> dict[str, Any]:
        nonlocal number
        number += 1
        began = time.perf_counter()
        weights = algorithm._policy_weights()
        fetched = time.perf_counter()
        reference = ray.put(weights)
        put = time.perf_counter()
        state = {COMPONENT_RL_MODULE: reference, WEIGHTS_SEQ_NO: number}
        algorithm.env_runner_group.foreach_env_runner(
            "set_state", kwargs={"state": state}, local_env_runner=False
        )
        end = time.perf_counter()
        (place,) = ray.experimental.get_object_locations([reference]).values()
        return {
            "seconds": end - began,
            "fetch_s": fetched - began,
            "put_s": put - fetched,
            "set_s": end - put,
            "weights_bytes": sum(x.nbytes for x in tf.nest.flatten(weights)),
            "object_bytes": place["object_size"],
        }

    parameters = ask_learner(
        algorithm.learner_group,
        lambda learner: int(learner.trainer.model.count_parameters()["total"]),
    )
    hello = {
        "program": f"rllib_dreamerv3 {__version__}, TensorFlow {tf.__version__}",
        **vars(options),
        "parameters": parameters,
        # What each of several learners would send the others in an update; none is sent here.
        "gradient_bytes": parameters * BYTES_OF_A_PARAMETER,
    }
    answers.serve(hello, synchronise)


if __name__ == "__main__":
    main()
