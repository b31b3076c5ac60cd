"""The env runner of RLlib's own DreamerV3 (PyTorch), as a process that samples for each line.

Its environment is that of :mod:`peers.rllib_update`. What is timed is what its algorithm does
until it has its episodes: ``sample()`` of one rollout fragment after the other, with the policy's
actions, and ``get_metrics()`` after each.
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

    import ray
    import torch
    from ray.rllib.algorithms.dreamerv3 import DreamerV3Config
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    torch.set_num_threads(options.threads)
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
    runner = SingleAgentEnvRunner(config=config, worker_index=0)

    def sample() -> dict[str, float]:
        env_steps = 0
        began = time.perf_counter()
        while env_steps < options.steps:
            env_steps += sum(len(episode) for episode in runner.sample())
            runner.get_metrics()
        return {"env_steps_per_s": env_steps / (time.perf_counter() - began)}

    answers.serve({"program": f"RLlib {ray.__version__}, PyTorch {torch.__version__}"}, sample)


if __name__ == "__main__":
    main()
