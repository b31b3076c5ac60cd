"""No two environments share a seed, and the same place always has the same ones."""

import itertools

import numpy as np
import pytest

from rllib_dreamerv3.envs.seeds import EVALUATION, TRAINING, SeedKey, fresh_incarnation


def test_seeds_are_distinct_everywhere():
    places = [
        SeedKey(*key)
        for key in itertools.product((TRAINING, EVALUATION), range(5), range(5), range(5))
    ]
    seeds = [seed for place in places for seed in place.seeds(1, 4)[0]]
    assert len(seeds) == 1000
    assert len(set(seeds)) == len(seeds)
    assert len({place.stream_prefix() for place in places}) == len(places)


@pytest.mark.parametrize("root", [0, 1, 2**31 - 1])
def test_the_same_place_has_the_same_seeds(root: int):
    place = SeedKey(TRAINING, 1, 2, 3)
    (one, noise), (other, same_noise) = place.seeds(root, 3), place.seeds(root, 3)
    assert one == other
    assert all(0 <= seed < 2**31 for seed in one)
    draws = [np.random.default_rng(source).random() for source in (noise, same_noise)]
    assert draws[0] == draws[1]
    assert place.seeds(root + 1, 3)[0] != one


def test_without_a_root_seeds_differ_each_time():
    place = SeedKey(TRAINING, 1, 2, 3)
    assert place.seeds(None, 3)[0] != place.seeds(None, 3)[0]


def test_a_restarted_runner_repeats_nothing():
    first, second = (SeedKey(TRAINING, 1, 0, 0, fresh_incarnation()) for _ in range(2))
    never_restarted = SeedKey(TRAINING, 1, 0, 0)
    seeds = [place.seeds(1, 4)[0] for place in (first, second, never_restarted)]
    assert len({seed for four in seeds for seed in four}) == 12
    assert len({place.stream_prefix() for place in (first, second, never_restarted)}) == 3
