"""What is wrong with the records of a checkpoint."""

import numpy as np
from gymnasium.spaces import Box, Discrete
from written_checkpoint import write_checkpoint

from rllib_dreamerv3.reports.replay_findings import replay_findings


def test_observations_that_never_change_are_named(tmp_path):
    for low, names in ((0.25, ["Observations never change"]), (-1.0, [])):
        checkpoint = tmp_path / str(low)
        space = Box(low, 0.25, (4,), np.float32)
        write_checkpoint(checkpoint, space, Discrete(2), records=100)
        found = list(replay_findings(checkpoint))
        assert [finding.name for finding in found] == names
        for finding in found:
            assert "obs/vector is equal in all" in finding.evidence
            assert "records: 0.25, 0.25, 0.25, 0.25." in finding.evidence
