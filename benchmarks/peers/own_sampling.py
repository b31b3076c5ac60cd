"""This project's env runner, as a process that samples for each line it is sent.

What is timed is what the algorithm does until it has its records: ``sample()`` of one rollout
fragment after the other, with the policy's actions, and ``get_metrics()`` at the end, as the
algorithm calls it at the end of an iteration.
"""

import argparse
import time

from peers.protocol import Answers
from peers.workloads import add_sampling_arguments


def main() -> None:
    """Build an env runner, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_sampling_arguments(parser)
    parser.add_argument("--envs", type=int, default=1, help="environments that step together")
    options = parser.parse_args()
    answers = Answers()

    import tensorflow as tf

    from rllib_dreamerv3 import DreamerV3Config, __version__
    from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    config = (
        DreamerV3Config()
        .environment(options.env)
        .training(model_size=options.model_size)
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=options.envs,
            rollout_fragment_length=options.fragment,
        )
        .debugging(seed=0)
    )
    runner = DreamerV3EnvRunner(config=config, worker_index=0)

    def sample() -> dict[str, float]:
        env_steps = 0
        began = time.perf_counter()
        while env_steps < options.steps:
            env_steps += sum(chunk.env_steps() for chunk in runner.sample())
        runner.get_metrics()
        return {"env_steps_per_s": env_steps / (time.perf_counter() - began)}

    answers.serve(
        {"program": f"rllib_dreamerv3 {__version__}, TensorFlow {tf.__version__}"}, sample
    )


if __name__ == "__main__":
    main()
