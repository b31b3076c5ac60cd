"""Spaces survive JSON, and invalid descriptions are reported."""

import enum
import json
import re

import numpy as np
import pytest
import random_spaces
from gymnasium import spaces
from hypothesis import given

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.spaces.codecs import make_codecs
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


class Key(str, enum.Enum):
    """Keys that are texts, too."""

    LEFT = "left"
    RIGHT = "right"


class Number(enum.IntEnum):
    """Keys that are numbers, too."""

    ONE = 1


@pytest.mark.parametrize(
    ("keys", "plain"),
    [
        (list(Key), ["left", "right"]),
        ([np.int64(3), Number.ONE, True], [1, 3]),
        ([np.str_("left")], ["left"]),
    ],
)
def test_keys_that_equal_texts_and_numbers_become_them(keys, plain):
    space = spaces.Dict({key: spaces.Discrete(2) for key in keys})
    again = space_from_json(json.loads(json.dumps(space_to_json(space))))
    assert again == space
    assert sorted(again.spaces) == plain
    assert {type(key) for key in again.spaces} == {type(plain[0])}
    observations, actions = make_codecs(space, space)
    batch = {key: np.array([1]) for key in keys}
    assert observations.encode(batch).keys() == {f"obs/{key}" for key in plain}
    np.testing.assert_equal(observations.decode(observations.encode(batch)), batch)
    taken = actions.decode(actions.encode(batch))
    assert [taken[key] for key in keys] == [1] * len(keys)


@pytest.mark.parametrize(
    "key", [(0, 1), 1.5, None, b"left", "\ud800", "a\udfffb", enum.Enum("Plain", "LEFT").LEFT]
)
def test_other_keys_are_refused_before_anything_begins(key):
    space = spaces.Dict({key: spaces.Discrete(2)})
    fine = spaces.Discrete(2)
    for pair in ((space, fine), (fine, space), (spaces.Tuple([space]), fine)):
        with pytest.raises(SpaceError, match=f"the key {re.escape(repr(key))} cannot be written"):
            make_codecs(*pair)


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
        ({**BOX, "low": [0.0]}, "described incorrectly"),
        (
            {**BOX, "low": "nan"},
            "described incorrectly: 'nan' is neither a number nor 'inf' or '-inf'",
        ),
        ({**BOX, "low": None}, "stands where a number belongs"),
        ({**BOX, "low": 2.0}, "described incorrectly"),
        ({**BOX, "dtype": "object"}, "cannot have the dtype object"),
        ({**BOX, "dtype": "nonsense"}, "described incorrectly"),
        ({"type": "Discrete", "n": 1.5, "start": 0, "dtype": "int64"}, "described incorrectly"),
        ({"type": "Dict", "spaces": [["a", BOX], ["b", {}]]}, "the space at 'b' is not described"),
        ({"type": "Tuple", "spaces": [{**BOX, "type": "X"}]}, "the space at '0' is of the unkn"),
        ({"type": "Dict", "spaces": 3}, "described incorrectly"),
    ],
)
def test_invalid_spaces_are_reported(content, message):
    with pytest.raises(SpaceError, match=message):
        space_from_json(content)


def test_space_that_is_too_large_or_nested_too_deeply_is_refused():
    nested = {"type": "MultiBinary", "n": 2}
    for _ in range(100_000):
        nested = {"type": "Tuple", "spaces": [nested]}
    with pytest.raises(SpaceError, match="nested too deeply"):
        space_from_json(nested)
    box = {"type": "Box", "dtype": "float32", "low": 0, "high": 1, "shape": [10**6, 10**6]}
    with pytest.raises(SpaceError, match="more than"):
        space_from_json(box)
    with pytest.raises(SpaceError, match="more than"):
        space_from_json({"type": "MultiBinary", "n": 10**12})
