"""Episodes that end by a time limit, as the env runner records them."""

import gymnasium as gym
import numpy as np
import pytest
from tiny import tiny_config

from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST, IS_TERMINAL, REWARD

FINGER = "dm_control/finger-spin-v0"


def assert_ends_by_truncation(columns, decisions):
    """The first episode has that many decisions, and one record more."""
    (first, again) = np.flatnonzero(columns[IS_FIRST])[:2]
    assert (first, again) == (0, decisions + 1)
    np.testing.assert_array_equal(np.flatnonzero(columns[IS_LAST]), [decisions])
    assert not columns[IS_TERMINAL].any()
    assert not columns[ACTION][decisions].any()
    assert not columns[REWARD][[0, again]].any()


def test_time_limit_of_gymnasium():
    gym.register(
        "ShortPendulum-v0", "gymnasium.envs.classic_control:PendulumEnv", max_episode_steps=12
    )
    runner = DreamerV3EnvRunner(config=tiny_config("ShortPendulum-v0"), worker_index=0)
    (chunk,) = runner.sample(num_records=15)
    runner.stop()
    assert_ends_by_truncation(chunk.columns, 12)
    # Pendulum's rewards are costs: what led to the last record has one.
    assert (chunk.columns[REWARD][1:13] < 0).all()


def test_dm_control_is_recorded_as_it_is():
    """500 decisions of two control steps, against the suite played with the same actions."""
    pytest.importorskip("dm_control", reason="needs the extra dmc")
    pytest.importorskip("shimmy", reason="needs the extra dmc")
    from dm_control import suite

    runner = DreamerV3EnvRunner(config=tiny_config(FINGER), worker_index=0)
    (seed,), _ = runner._seed_key.seeds(runner.config.seed, 1)
    (chunk,) = runner.sample(num_records=503, random_actions=True)
    actions = runner.module.actions.decode(chunk.columns[ACTION])
    runner.stop()
    columns = chunk.columns
    assert_ends_by_truncation(columns, 500)
    task = suite.load("finger", "spin", task_kwargs={"random": seed})
    observations, rewards = [task.reset().observation], [0.0]
    for action in actions[:500]:
        steps = [task.step(action) for _ in range(2)]
        observations.append(steps[-1].observation)
        rewards.append(sum(step.reward for step in steps))
    assert steps[-1].last()
    assert steps[-1].discount == 1.0
    np.testing.assert_array_equal(columns[REWARD][:501], np.float32(rewards))
    names = {f"obs/{name}" for name in observations[0]}
    assert names == {name for name in columns if name.startswith("obs/")}
    for name in observations[0]:
        expected = np.stack([observation[name] for observation in observations])
        assert expected.dtype == np.float64
        column = columns[f"obs/{name}"]
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column[:501], np.float32(expected))
