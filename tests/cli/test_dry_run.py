"""A config is tried out before its run."""

from dataclasses import replace

import pytest
from tiny import tiny_config

from rllib_cli import dry_run as dry_run_module
from rllib_cli.commands import doctor
from rllib_cli.dry_run import RunCosts, dry_run
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.replay.memory import ReplayNeed


def test_measures_what_a_run_consists_of():
    config = tiny_config(training_ratio=8).env_runners(num_env_runners=4)
    costs = dry_run(config)
    assert config.num_env_runners == 4
    assert costs.parameters["total"] > 10_000
    assert costs.update_s > 0
    assert costs.first_update_s > 0
    assert costs.step_s > 0
    # Four numbers, a reward, two actions, three flags.
    assert costs.replay == ReplayNeed(10_000, 4 * 4 + 4 + 2 * 4 + 3, None, 31)
    assert costs.updates_per_step == 8 / 16
    assert costs.episode_lengths
    assert 2e8 < costs.process_bytes < costs.machine_bytes


def test_updates_are_timed_in_the_dtype_of_the_run(monkeypatch):
    built = []
    monkeypatch.setattr(dry_run_module, "product_speeds", lambda: {"float32": 1, "bfloat16": 2})
    build = DreamerV3Learner.build
    monkeypatch.setattr(
        DreamerV3Learner, "build", lambda learner: (build(learner), built.append(learner))
    )
    dry_run(tiny_config(compute_dtype="auto"))
    (learner,) = built
    assert learner.module["default_policy"].settings.compute_dtype == "bfloat16"


def costs_of(**others):
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
    return replace(costs, **others)


def test_a_run_is_the_sum_of_its_parts():
    costs = costs_of()
    assert costs.run_s(9_000) == pytest.approx(90 + 30 + 2_000 * 2)
    assert costs.checkpoint_bytes(1_000) == 100_000
    assert costs.checkpoint_bytes(9_000) == 500_000
    assert costs.waiting == pytest.approx(0.01 / (0.25 * 2))


def test_env_runners_share_the_sampling():
    alone = costs_of(step_s=1.0, update_s=1.0, first_update_s=0.0, steps_to_start=0)
    four = replace(alone, env_runners=4)
    assert (alone.waiting, four.waiting) == (4.0, 1.0)
    assert alone.run_s(100) - four.run_s(100) == pytest.approx(75)


def test_columns_on_disk_need_no_memory():
    costs = costs_of(replay=ReplayNeed(5_000, 100, None, 10), process_bytes=7)
    assert costs.memory_bytes(9_000) == 7 + 50_000
    assert costs.checkpoint_bytes(9_000) == 500_000


@pytest.mark.parametrize(("in_memory", "advised"), [(100, True), (60, False)])
def test_the_disk_is_advised_unless_it_is_used(in_memory, advised):
    costs = costs_of(replay=ReplayNeed(10**9, 100, None, in_memory), machine_bytes=10**9)
    (warning,) = (x for x in doctor._warnings(costs, None, {}) if "GB of memory" in x)
    assert ('storage to "disk"' in warning) == advised


def test_wrong_configs_are_refused():
    with pytest.raises(ConfigError, match="training_ratio"):
        dry_run(tiny_config(training_ratio=-1))
