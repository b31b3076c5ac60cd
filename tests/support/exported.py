"""Checkpoints of policies that were never trained, and observations for them.

Tests say ``import exported``; pytest has this folder on its path.
"""

import numpy as np
import synthetic
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from tiny import tiny_config

from rllib_dreamerv3.agent.networks.model import DreamerModel, get_weights
from rllib_dreamerv3.agent.networks.saved import read_saved_networks
from rllib_dreamerv3.checkpoints import manifest, tensors
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE
from rllib_dreamerv3.plugin.policy_json import write_policy

VECTOR = Box(-3, 3, (4,))
NESTED = Dict(
    {
        "rest": Tuple([Discrete(3, start=-1), Box(-1, 1, (2, 2), np.float64)]),
        "camera": Box(0, 255, (3, 90, 40), np.uint8),
        "switches": MultiBinary(2),
    }
)
SPACES = {
    "v1 vector, choice": ("v1", VECTOR, Discrete(3, start=1)),
    "v2 image, choice": ("v2", Box(0, 255, (64, 64, 3), np.uint8), Discrete(4)),
    "v2 mask, choices, numbers": (
        "v2",
        Dict({"x": VECTOR, "action_mask": MultiBinary(5)}),
        Dict(
            {
                "choose": MultiDiscrete([2, 3]),
                "move": Box(np.array([-2, 0]), np.array([5, np.inf]), (2,)),
            }
        ),
    ),
    "v1 nested": (
        "v1",
        NESTED,
        Dict({"move": Box(2, 6, (2,)), "choose": Tuple([MultiDiscrete([2, 3])])}),
    ),
}


def write_checkpoint(directory, variant, observation_space, action_space, **training):
    """A checkpoint with what acting reads of one."""
    directory.mkdir()
    config = tiny_config(variant=variant, **training)
    write_policy(directory, config, observation_space, action_space)
    sign(directory)
    saved = read_saved_networks(directory)
    layouts = saved.observations.layout, saved.actions.layout
    model = DreamerModel(*layouts, saved.settings, seed=0)
    synthetic.scramble(model)
    tensors.save(directory / NETWORKS_FILE, get_weights(model))
    sign(directory)
    return directory


def sign(directory):
    """Writes the manifest of all files there are."""
    (directory / manifest.MANIFEST).unlink(missing_ok=True)
    manifest.write(directory, env_steps=10, updates=2, iteration=1)


def observations(space, steps, seed=0):
    """Samples of the space; an action mask allows something of each of two parts."""
    space.seed(seed)
    samples = [space.sample() for _ in range(steps)]
    for i, sample in enumerate(samples):
        if isinstance(sample, dict) and "action_mask" in sample:
            sample["action_mask"][[i % 2, 2 + i % 3]] = 1
    return samples
