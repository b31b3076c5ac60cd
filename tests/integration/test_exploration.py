"""A run that explores, and what reads its checkpoints."""

import numpy as np
from tiny import tiny_config

from rllib_dreamerv3 import DreamEnv, load_policy
from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.plugin.learners.group import ask_learner

EXPLORE = {"use_curiosity": True, "explore_only": True, "curiosity_models": 2}


def state_of(algorithm):
    return ask_learner(
        algorithm.learner_group,
        lambda learner: {**get_weights(learner.trainer.model), **learner.trainer.get_state()},
    )


def test_a_run_explores_and_others_continue_with_and_without(build, tmp_path):
    explored = build(tiny_config(**EXPLORE))
    for _ in range(10):
        metrics = explored.train()["learners"]["default_policy"]
        if "ENSEMBLE_L_total" in metrics:
            break
    assert metrics["INTRINSIC_CRITIC_rewards_mean"] > 0
    total = sum(x for name, x in metrics.items() if name.endswith("_L_total"))
    np.testing.assert_allclose(metrics["total_loss"], total, rtol=1e-6)
    expected = state_of(explored)
    path = explored.save_to_path(tmp_path / "explored")

    for options in (EXPLORE, {}):
        other = build(tiny_config(**options).checkpointing(start_checkpoint=path))
        state = state_of(other)
        assert (state.keys() == expected.keys()) is bool(options)
        assert state.keys() <= expected.keys()
        for name, x in state.items():
            np.testing.assert_array_equal(x, expected[name], err_msg=name)
    other.train()

    load_policy(path)(np.zeros(4, np.float32))
    DreamEnv(path, horizon=2).reset(seed=0)
