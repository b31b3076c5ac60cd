"""The least and the greatest reward so far."""

import numpy as np

from rllib_dreamerv3.replay.reward_range import RewardRange


def columns(reward, first=()):
    return {
        "reward": np.array(reward, np.float32),
        "is_first": np.isin(np.arange(len(reward)), first),
    }


def test_first_records_have_no_reward():
    rewards = RewardRange()
    rewards.add(columns([0], first=[0]))
    assert rewards.metrics() == {}
    rewards.add(columns([1.5, 0, 1], first=[1]))
    assert rewards.metrics() == {"reward_min": 1.0, "reward_max": 1.5}


def test_goes_on_from_what_it_was():
    rewards = RewardRange()
    rewards.add(columns([-2, 3]))
    restored = RewardRange(**rewards.metrics())
    restored.add(columns([0, 4]))
    assert restored.metrics() == {"reward_min": -2.0, "reward_max": 4.0}


def test_records_may_lack_rewards():
    rewards = RewardRange()
    rewards.add({"is_first": np.array([True, False])})
    assert rewards.metrics() == {}
