"""Results without NaN."""

import numpy as np

from rllib_dreamerv3.plugin.results import without_gaps

NAN = float("nan")


def test_sums_over_nothing_are_zero_and_other_gaps_go():
    assert without_gaps(
        {
            "num_env_steps_sampled": NAN,
            "num_agent_steps_sampled": {"default_agent": NAN},
            "num_env_steps_sampled_lifetime": 12,
            "weights_seq_no": NAN,
            "sample": np.float64("nan"),
            "default_policy": {"ACTOR_L_total": NAN, "num_trainable_parameters": NAN, "x": 1.5},
            "name": "text",
        }
    ) == {
        "num_env_steps_sampled": 0,
        "num_agent_steps_sampled": {"default_agent": 0},
        "num_env_steps_sampled_lifetime": 12,
        "default_policy": {"x": 1.5},
        "name": "text",
    }
