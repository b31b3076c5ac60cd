"""Checkpoints to dream of: numbers, images nested with others, and action masks."""

from typing import NamedTuple

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from written_checkpoint import write_checkpoint

from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.dream_env.env import DreamEnv
from rllib_dreamerv3.dream_env.vector_env import DreamVectorEnv

SPACES = {
    "vector": (Box(-3, 3, (4,), np.float32), Discrete(2, start=3)),
    "nested": (
        Dict(
            {
                "camera": Box(0, 255, (16, 16, 3), np.uint8),
                "rest": Tuple([Discrete(3), Box(-1, 1, (2,), np.float32)]),
            }
        ),
        Dict({"choose": MultiDiscrete([2, 3]), "move": Box(2, 6, (1,), np.float32)}),
    ),
    # Of the 2025 version: latents in replay, gamma in the continue head.
    "masked": (
        Dict({"speed": Box(-9, 9, (2,), np.float32), "action_mask": MultiBinary(3)}),
        Discrete(3),
    ),
}


class Written(NamedTuple):
    """A checkpoint, and its networks."""

    path: str
    model: DreamerModel


# Tests of one checkpoint share its environments, so that each is compiled once.
ROWS = 2


# Of "vector", nothing is compiled that "nested" does not have too: only tests of one environment,
# or those that name it, look at a space without nesting.
@pytest.fixture(scope="session", params=["nested", "masked"])
def written(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / request.param
    variant = "v2" if request.param == "masked" else "v1"
    return Written(str(path), write_checkpoint(path, *SPACES[request.param], variant=variant))


@pytest.fixture(scope="session")
def single(written):
    return DreamEnv(written.path, horizon=6, context=3, render_mode="rgb_array")


@pytest.fixture(scope="session")
def several(written):
    return DreamVectorEnv(written.path, ROWS, horizon=4, context=3, render_mode="rgb_array")
