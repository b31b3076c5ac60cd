"""Random numbers of updates."""

import itertools

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.noise import draw_update_noise


def first_numbers(seed, update):
    """The first numbers of each part of an update's noise, by part and, for actions, by leaf."""
    seed = tf.constant([seed, update], tf.int32)
    posterior, (state, action) = draw_update_noise(synthetic.MIXED, 4, 3, 2, 5, 5, seed)
    parts = {"posterior": posterior, "state": state}
    parts |= {f"action {i}": action[..., i] for i in range(action.shape[-1])}
    return {name: np.ravel(part)[:5] for name, part in parts.items()}


@pytest.mark.parametrize("other", [(0, 6), (1, 5), (1, 6), (2, 5), (0, 5 + (1 << 20))])
def test_parts_updates_and_seeds_share_no_numbers(other):
    drawn = [*first_numbers(0, 5).items(), *first_numbers(*other).items()]
    for (first, numbers), (second, others) in itertools.combinations(drawn, 2):
        assert not np.intersect1d(numbers, others).size, (first, second)


def test_the_same_seed_draws_the_same_numbers():
    first, again = first_numbers(3, 4), first_numbers(3, 4)
    for part, numbers in first.items():
        np.testing.assert_array_equal(numbers, again[part])
