"""One update of RLlib's own DreamerV3 (PyTorch), as a process that answers each line.

    python3 -m venv rllib-peer
    rllib-peer/bin/pip install "ray[rllib]==2.60.*" torch==2.13.0 pillow

What is timed is ``Learner.update()``, as its training loop calls it, with the wrapping of the batch
that it asks for: world model, imagination, actor, critic, three Adams, the critic's moving average,
and the reduction of its metrics. The batch consists of tensors already, images of floats in
[-1, 1], which is what its own Atari wrapper makes; reports are off, as they are by default.
Everything else is RLlib's default, without ``torch.compile``.
"""

import argparse

from peers.protocol import Answers
from peers.torch_updates import serve_updates


def main() -> None:
    """Build a learner, then serve."""
    from peers.workloads import SPACES, add_update_arguments, random_records, split_name

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_update_arguments(parser)
    options = parser.parse_args()
    spaces_name, size = split_name(options.workload)
    spaces = SPACES[spaces_name]
    answers = Answers()

    import gymnasium as gym
    import numpy as np
    import ray
    import torch
    from ray.rllib.algorithms.dreamerv3 import DreamerV3Config
    from ray.rllib.algorithms.dreamerv3.utils import _ALLOWED_MODEL_DIMS
    from ray.rllib.core import DEFAULT_MODULE_ID
    from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
    from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    sizes = {name.lower(): name for name in _ALLOWED_MODEL_DIMS}
    if size not in sizes:
        raise SystemExit(f"RLlib's DreamerV3 has the sizes {', '.join(sizes)}, and no {size!r}.")
    observation_space = gym.spaces.Box(-1.0, 1.0, spaces.observation, np.float32)
    if spaces.continuous:
        action_space: gym.Space = gym.spaces.Box(-1.0, 1.0, (spaces.actions,), np.float32)
    else:
        action_space = gym.spaces.Discrete(spaces.actions)
    config = (
        DreamerV3Config()
        .environment(observation_space=observation_space, action_space=action_space)
        .training(
            model_size=sizes[size],
            batch_size_B=options.batch,
            batch_length_T=options.length,
            horizon_H=options.horizon,
        )
        .learners(num_learners=0)
    )
    learner = config.build_learner(spaces={DEFAULT_MODULE_ID: (observation_space, action_space)})
    module = learner.module[DEFAULT_MODULE_ID].unwrapped()

    records = random_records(spaces, options.batch, options.length)
    observation = records["observation"]
    if spaces.is_image:
        observation = observation.astype(np.float32) / 128.0 - 1.0
    batch = {
        "obs": observation,
        "actions": records["action"],
        "rewards": records["reward"],
        "is_first": records["is_first"],
        "is_last": records["is_last"],
        "is_terminated": records["is_terminal"],
        "is_truncated": np.zeros_like(records["is_last"]),
    }
    tensors = {name: torch.from_numpy(values) for name, values in batch.items()}

    def update() -> None:
        multi_agent = MultiAgentBatch(
            {DEFAULT_MODULE_ID: SampleBatch(tensors)}, env_steps=options.batch * options.length
        )
        learner.update(batch=multi_agent, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: 0})

    serve_updates(answers, f"RLlib {ray.__version__}", module.named_parameters(), update)


if __name__ == "__main__":
    main()
