"""Observations that leave their bounds."""

import logging

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple

from rllib_dreamerv3.spaces.bounds import ObservationBounds

SPACE = Dict({"a": Tuple([Box(-1, 1, (2,)), Discrete(3)]), "b": Box(0, np.inf, ())})


def observations():
    return {
        "a": (np.array([[0, 2], [0, 0], [-3, 9]], np.float32), np.array([0, 1, 2])),
        "b": np.array([1, 5, -1], np.float32),
    }


def test_observations_outside_are_counted_and_logged_once(caplog):
    bounds = ObservationBounds(SPACE, "my_env:Reach", clip=False)
    given = observations()
    with caplog.at_level(logging.WARNING):
        assert bounds.check(given) is given
        bounds.check(given)
    (record,) = caplog.records
    assert "my_env:Reach at 'a/0' was 2 in element 1, outside of its Box from -1 to 1." in (
        record.getMessage()
    )
    # Two of three environments, twice.
    assert bounds.take() == 4
    assert bounds.take() == 0


def test_are_clipped_if_asked():
    bounds = ObservationBounds(SPACE, "my_env:Reach", clip=True)
    clipped = bounds.check(observations())
    np.testing.assert_array_equal(clipped["a"][0], [[0, 1], [0, 0], [-1, 1]])
    np.testing.assert_array_equal(clipped["a"][1], [0, 1, 2])
    np.testing.assert_array_equal(clipped["b"], [1, 5, 0])
    assert bounds.num_outside == 2


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (Box(0, 255, (2, 2), np.uint8), np.zeros((1, 2, 2), np.uint8)),
        (Box(-np.inf, np.inf, (2,)), np.full((1, 2), 1e30, np.float32)),
        (Discrete(3), np.array([1])),
        (Box(-1, 1, (2,)), np.array([[-1, 1]], np.float32)),
        # Reported by another check.
        (Box(-1, 1, (2,)), np.array([[np.nan, np.inf]], np.float32)),
    ],
)
def test_nothing_else_is_counted(space, value):
    bounds = ObservationBounds(space, "x", clip=True)
    assert bounds.check(value) is value
    assert bounds.num_outside == 0
