"""Updates by learners as a run has them, as a process that does one for each line.

What is timed is ``LearnerGroup.update()`` on a batch of arrays: where learners are processes of
their own, handing it to them and the latents' way back are part of it. With ``--num-learners 0``
the learner is in this process. Ready means: the networks are there, and nothing is compiled.
"""

import argparse
import os
import resource
import time
from pathlib import Path
from typing import Any

from peers.own_update import make_batch
from peers.protocol import Answers
from peers.workloads import SPACES, add_update_arguments, split_name

BYTES_OF_A_PARAMETER = 4


def loopback_bytes() -> int | None:
    """Bytes that all processes of the machine have sent to each other by network since its start.

    None if the system does not report it.
    """
    table = Path("/proc/net/dev")
    if not table.exists():
        return None
    for line in table.read_text().splitlines():
        name, _, numbers = line.strip().partition(":")
        if name == "lo":
            return int(numbers.split()[0])
    return None


def main() -> None:
    """Start the learners, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_update_arguments(parser)
    parser.add_argument("--num-learners", type=int, required=True)
    options = parser.parse_args()
    spaces_name, size_name = split_name(options.workload)
    spaces = SPACES[spaces_name]
    answers = Answers()

    import gymnasium as gym
    import numpy as np
    import ray
    import tensorflow as tf
    from ray.rllib.core import DEFAULT_MODULE_ID
    from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
    from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

    from rllib_dreamerv3 import DreamerV3Config, __version__
    from rllib_dreamerv3.agent.networks.model import get_weights
    from rllib_dreamerv3.options.model_sizes import MODEL_SIZES
    from rllib_dreamerv3.plugin.learners.group import ask_learner

    # Learners in processes of their own compute with as many threads as they have CPUs.
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    cpus = max(options.num_learners, 1) * options.threads
    ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False)
    names = {name.lower(): name for name in MODEL_SIZES}
    if spaces.is_image:
        observation_space = gym.spaces.Box(0, 255, spaces.observation, np.uint8)
    else:
        observation_space = gym.spaces.Box(-np.inf, np.inf, spaces.observation, np.float32)
    if spaces.continuous:
        action_space: gym.Space = gym.spaces.Box(-1, 1, (spaces.actions,), np.float32)
    else:
        action_space = gym.spaces.Discrete(spaces.actions)
    config = (
        DreamerV3Config()
        .environment(observation_space=observation_space, action_space=action_space)
        .training(
            model_size=names.get(size_name, size_name),
            batch_size_B=options.batch,
            batch_length_T=options.length,
            horizon_H=options.horizon,
            # With a warm-up the first updates would change too little to be seen.
            lr_warmup=0,
        )
        .learners(num_learners=options.num_learners, num_cpus_per_learner=options.threads)
        .debugging(seed=0)
    )
    group = config.build_learner_group(
        spaces={DEFAULT_MODULE_ID: (observation_space, action_space)}
    )
    (leaf,) = ask_learner(
        group, lambda learner: learner.module[DEFAULT_MODULE_ID].observations.layout.leaves
    )
    # Arrays, as a run sends them; under the name that RLlib's spaces give the observation.
    columns = {
        leaf.key if name.startswith("obs/") else name: x.numpy()
        for name, x in make_batch(
            spaces,
            options.batch,
            options.length,
            config.resolved("replay_context"),
            config.model_settings(),
        ).items()
    }
    before = ask_learner(group, lambda learner: get_weights(learner.trainer.model))
    parameters = ask_learner(
        group, lambda learner: int(learner.trainer.model.count_parameters()["total"])
    )

    def update() -> dict[str, Any]:
        batch = MultiAgentBatch(
            {DEFAULT_MODULE_ID: SampleBatch(columns)}, env_steps=config.records_per_update
        )
        sent, began = loopback_bytes(), time.perf_counter()
        group.update(batch=batch, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: 0})
        seconds, now = time.perf_counter() - began, loopback_bytes()
        return {
            "seconds": seconds,
            "loopback_bytes": None if sent is None or now is None else now - sent,
        }

    def closing() -> dict[str, Any]:
        after = ask_learner(group, lambda learner: get_weights(learner.trainer.model))
        peak = ask_learner(
            group, lambda learner: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        )
        return {
            "unchanged": [name for name, x in before.items() if (after[name] == x).all()],
            "learner_peak_rss_gb": peak,
        }

    several = options.num_learners > 1
    hello = {
        "program": f"rllib_dreamerv3 {__version__}, TensorFlow {tf.__version__}",
        "cores": os.cpu_count(),
        "parameters": parameters,
        # All of them are float32, whatever is computed in; each learner sends as many.
        "gradient_bytes": parameters * BYTES_OF_A_PARAMETER if several else 0,
    }
    answers.serve(hello, update, closing)


if __name__ == "__main__":
    main()
