"""A config is tried out before its run."""

import pytest
from tiny import tiny_config

from rllib_cli.dry_run import RunCosts, dry_run
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.replay.memory import ReplayNeed


def test_measures_what_a_run_consists_of():
    config = tiny_config(training_ratio=8).env_runners(num_env_runners=4)
    costs = dry_run(config)
    assert config.num_env_runners == 4
    assert costs.parameters["total"] > 10_000
    # The first update is compiled.
    assert 0 < costs.update_s < costs.first_update_s
    assert 0 < costs.step_s < 1
    # Four numbers, a reward, two actions, three flags.
    assert costs.replay == ReplayNeed(10_000, 4 * 4 + 4 + 2 * 4 + 3, None, 31)
    assert costs.updates_per_step == 8 / 16
    assert costs.episode_lengths
    assert 2e8 < costs.process_bytes < costs.machine_bytes


def test_a_run_is_the_sum_of_its_parts():
    costs = RunCosts(
        parameters={},
        step_s=0.01,
        update_s=2.0,
        first_update_s=30.0,
        replay=ReplayNeed(5_000, 100, None, 100),
        process_bytes=0,
        machine_bytes=0,
        updates_per_step=0.25,
        steps_to_start=1_000,
        layout=None,
    )
    assert costs.run_s(9_000) == pytest.approx(90 + 30 + 2_000 * 2)
    assert costs.replay_bytes(1_000) == 100_000
    assert costs.replay_bytes(9_000) == 500_000


def test_wrong_configs_are_refused():
    with pytest.raises(ConfigError, match="training_ratio"):
        dry_run(tiny_config(training_ratio=-1))
