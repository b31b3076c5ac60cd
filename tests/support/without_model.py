"""An exported policy whose model is a few lines of NumPy: nothing is exported or loaded."""

import numpy as np
from gymnasium.spaces import Box, Discrete

from rllib_dreamerv3.portable.exported_policy import ExportedPolicy
from rllib_dreamerv3.portable.leaves import column_to_json, leaf_to_json
from rllib_dreamerv3.spaces.codecs import make_codecs
from rllib_dreamerv3.spaces.space_json import space_to_json

SIZES = {"h": 3, "index": 2, "action": 3}


def describe(observation_space, action_space):
    """What of ``policy.json`` acting reads; columns are called as in the layout."""
    observations, actions = make_codecs(observation_space, action_space)
    mask = observations.mask
    return {
        "mode": "mode",
        "state": SIZES | {"action": actions.layout.size},
        "action_space": space_to_json(action_space),
        "actions": [leaf_to_json(part) for part in actions.parts],
        "observations": [
            {
                "path": list(path),
                "shape": list(leaf.env_shape),
                "input": leaf.key,
                "array": leaf_to_json(leaf),
                "column": column_to_json(leaf),
            }
            for path, leaf in observations.parts
        ],
        "action_mask": mask
        and {
            "leaves": [
                {"path": [mask[0], *x.path], "shape": x.space.shape} for x in mask[1].leaves
            ],
            "choices": mask[1].choices,
        },
    }


def policy():
    """Observes four numbers; counts steps in h, and chooses the count modulo 3."""

    def run(inputs):
        n = len(inputs["h"])
        steps = np.where(inputs["is_first"], 0, inputs["h"][:, 0]) + 1
        action = np.eye(3, dtype=np.float32)[steps.astype(int) % 3]
        h = np.repeat(steps[:, None], 3, 1).astype(np.float32)
        return {"next_h": h, "next_index": np.zeros((n, 2), np.int32), "mode": action}

    return ExportedPolicy(describe(Box(-3, 3, (4,)), Discrete(3)), run)
