"""Spaces survive JSON, and invalid descriptions are reported."""

import json

import numpy as np
import pytest
import random_spaces
from gymnasium import spaces
from hypothesis import given

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.spaces.space_json import space_from_json, space_to_json

BOX = {"type": "Box", "shape": [2], "dtype": "float32", "low": 0.0, "high": 1.0}


def through_json(space):
    return space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))


@given(random_spaces.nested(random_spaces.boxes(max_dims=3) | random_spaces.classes()))
def test_all_spaces_survive(space):
    restored = through_json(space)
    assert restored == space
    # Equality looks neither at the order of keys nor at all dtypes; repr shows them.
    assert repr(restored) == repr(space)
    assert restored.contains(space.sample())


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (3,), np.bool_),
        spaces.Box(-np.inf, np.inf, ()),
        spaces.Box(0, 2**64 - 1, (2,), np.uint64),
        spaces.Box(np.array([0, -np.inf]), np.array([np.inf, 1.0]), dtype=np.float64),
        spaces.Box(-np.inf, 1e-300, (0,), np.float64),
        spaces.Discrete(3, start=-1, dtype=np.int32),
        spaces.MultiDiscrete([[2, 3], [4, 5]], dtype=np.int16, start=[[1, 0], [0, 1]]),
        spaces.MultiBinary((2, 2)),
        spaces.Dict([("z", spaces.Discrete(2)), ("a", spaces.Tuple([spaces.MultiBinary(1)]))]),
    ],
    ids=str,
)
def test_corner_cases_survive(space):
    restored = through_json(space)
    assert restored == space
    assert repr(restored) == repr(space)


def test_keys_keep_their_order_and_numbers_stay_numbers():
    space = spaces.Dict([("z", spaces.Discrete(2)), (1, spaces.Discrete(3))])
    assert list(through_json(space).spaces) == ["z", 1]


def test_equal_bounds_take_no_room():
    image = spaces.Box(0, 255, (84, 84, 3), np.uint8)
    assert len(json.dumps(space_to_json(image))) < 100


def test_other_kinds_are_refused_with_their_place():
    space = spaces.Dict({"said": spaces.Tuple([spaces.Text(3)])})
    with pytest.raises(SpaceError, match=r"the space at 'said/0', a Text, .* only Box, Discrete"):
        space_to_json(space)
    with pytest.raises(SpaceError, match=r"The key \(1, 2\)"):
        space_to_json(spaces.Dict([((1, 2), spaces.Discrete(2))]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "an object with a type"),
        ([], "an object with a type"),
        ({"type": "Graph"}, "unknown type 'Graph'"),
        ({"type": "Box"}, "a Box, lacks 'shape'"),
        ({**BOX, "shape": "2"}, "no list of sides"),
        ({**BOX, "shape": [-1]}, "no list of sides"),
        ({**BOX, "low": [0.0]}, "not described rightly"),
        ({**BOX, "low": "none"}, "lacks 'none'"),
        ({**BOX, "low": None}, "stands where a number belongs"),
        ({**BOX, "low": 2.0}, "not described rightly"),
        ({**BOX, "dtype": "object"}, "cannot have the dtype object"),
        ({**BOX, "dtype": "nonsense"}, "not described rightly"),
        ({"type": "Discrete", "n": 1.5, "start": 0, "dtype": "int64"}, "not described rightly"),
        ({"type": "Dict", "spaces": [["a", BOX], ["b", {}]]}, "the space at 'b' is not described"),
        ({"type": "Tuple", "spaces": [{**BOX, "type": "X"}]}, "the space at '0' is of the unkn"),
        ({"type": "Dict", "spaces": 3}, "not described rightly"),
    ],
)
def test_invalid_spaces_are_reported(content, message):
    with pytest.raises(SpaceError, match=message):
        space_from_json(content)
