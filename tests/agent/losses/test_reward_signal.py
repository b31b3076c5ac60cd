"""How much of the rewards in a batch the reward head predicts."""

import numpy as np
import pytest
import tensorflow as tf

from rllib_dreamerv3.agent.losses.reward_signal import reward_signal


def signal(predicted, reward, first=()):
    is_first = np.isin(np.arange(len(reward)), first)
    columns = (tf.constant(x, tf.float32) for x in (predicted, reward))
    return [float(x) for x in reward_signal(*columns, tf.constant(is_first))]


RARE = [0, 0, 0, 1, 0, 0, 2, 0]


@pytest.mark.parametrize(
    ("predicted", "share"),
    [
        (RARE, 1.0),
        ([0.0] * 8, 0.0),
        ([0, 0, 0, 0.5, 0, 0, 1.0, 0], 0.5),
        # What is predicted elsewhere does not count, nor does more than there was.
        ([5, 0, 0, 9, 0, 0, 2, -5], 1.0),
        ([0, 0, 0, -1e8, 0, 0, -1e8, 0], -1.0),
    ],
)
def test_share_of_rare_rewards_that_is_predicted(predicted, share):
    away, found = signal(predicted, RARE)
    assert away == 3 / 8
    assert found == pytest.approx(share * away)


def test_the_usual_reward_need_not_be_0():
    # Of -1, -1, -3 and 0 the first two are usual: 2 and 1 away are the others.
    reward = [-1, -1, -3, 0, -1]
    assert signal([-1, -1, -2, -0.5, -1], reward) == pytest.approx([3 / 5, 1.5 / 5])
    assert signal([0] * 5, [1] * 5) == [0, 0]


def test_first_records_do_not_count():
    assert signal([1, 1, 1, 1], [0, 1, 1, 1], first=[0]) == [0, 0]
    assert signal([0.5, 0, 0, 0], [0, 0, 0, 4], first=[0]) == pytest.approx([4 / 3, 0])
    assert signal([0, 0], [0, 0], first=[0, 1]) == [0, 0]
