"""What is wrong with the records of a checkpoint."""

import gymnasium as gym
import numpy as np
from tiny import tiny_config

from rllib_dreamerv3.reports.replay_findings import replay_findings


class Frozen(gym.ObservationWrapper):
    """CartPole seen by a sensor that hangs."""

    def __init__(self, env_config):
        super().__init__(gym.make("CartPole-v1"))

    def observation(self, observation):
        return np.full(4, 0.25, np.float32)


def test_observations_that_never_change_are_named(tmp_path):
    for env, names in ((Frozen, ["Observations never change"]), ("CartPole-v1", [])):
        algorithm = tiny_config(env).build_algo()
        algorithm.train()
        checkpoint = tmp_path / str(len(names))
        algorithm.save_to_path(checkpoint)
        algorithm.stop()
        found = list(replay_findings(checkpoint))
        assert [finding.name for finding in found] == names
        for finding in found:
            assert "obs/vector is the same in all of" in finding.evidence
            assert "records: 0.25, 0.25, 0.25, 0.25." in finding.evidence
