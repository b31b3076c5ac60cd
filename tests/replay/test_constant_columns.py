"""Whether observations change at all."""

import numpy as np
import pytest

from rllib_dreamerv3.replay.constant_columns import ConstantColumns


def columns(camera, speed, reward):
    return {
        "obs/camera": np.array(camera, np.uint8)[:, None, None],
        "obs/speed": np.array(speed, np.float32)[:, None],
        "reward": np.array(reward, np.float32),
    }


@pytest.mark.parametrize(
    ("camera", "speed", "share"),
    [([7, 7, 7], [1, 1, 1], 1.0), ([7, 7, 7], [1, 1, 2], 0.5), ([7, 8, 7], [0, 1, 1], 0.0)],
)
def test_share_of_the_observations(camera, speed, share):
    constant = ConstantColumns()
    assert constant.share == 0.0
    # Rewards are no observations, whether they change or not.
    constant.add(columns(camera[:1], speed[:1], [0]))
    assert constant.share == 1.0
    constant.add(columns(camera[1:], speed[1:], [0, 1]))
    assert constant.share == share


def test_what_changed_once_has_changed():
    constant = ConstantColumns()
    for camera in (1, 2, 1, 1):
        constant.add(columns([camera], [0], [0]))
    assert constant.share == 0.5


def test_the_first_record_is_copied():
    records = columns([1], [1], [0])
    constant = ConstantColumns()
    constant.add(records)
    records["obs/camera"][:] = 2
    records["obs/speed"][:] = 2
    constant.add(records)
    assert constant.share == 0.0
