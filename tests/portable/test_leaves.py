"""What policy.json says of spaces is enough to encode and decode as the package does."""

import json

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import assert_equal, batch, boxes, classes, mask_spaces, nested
from without_model import describe

from rllib_dreamerv3.errors import EnvironmentDataError
from rllib_dreamerv3.portable.leaves import chosen_leaf, leaf_to_json
from rllib_dreamerv3.portable.observations import Observations
from rllib_dreamerv3.spaces.codecs import make_codecs


def alone(space, action_space=None):
    """What encodes observations as policy.json says, after it was written and read."""
    content = describe(space, action_space or spaces.Discrete(2))
    return Observations(json.loads(json.dumps(content, allow_nan=False)))


@given(st.data(), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_observations_are_encoded_as_by_the_codec(data, seed):
    space = data.draw(nested(boxes(3) | classes()))
    codec, _ = make_codecs(space, spaces.Discrete(2))
    samples, values = batch(space, 3, seed)
    found, single = alone(space).encode(values)
    assert not single
    assert_equal(found, codec.encode(values), rtol=0)
    found, single = alone(space).encode(samples[0])
    assert single
    assert_equal(found, {key: x[:1] for key, x in codec.encode(values).items()}, rtol=0)


@given(st.data(), st.booleans(), st.booleans(), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_actions_are_decoded_as_by_the_codec(data, normalize, clip, seed):
    space = data.draw(boxes(2) | classes())
    _, codec = make_codecs(
        spaces.Discrete(2), space, normalize_actions=normalize, clip_actions=clip
    )
    vectors = np.random.default_rng(seed).normal(size=(4, codec.layout.size)).astype(np.float32)
    (part,) = codec.parts
    leaf = chosen_leaf(json.loads(json.dumps(leaf_to_json(part), allow_nan=False)))
    assert leaf.size == codec.layout.size
    assert_equal(leaf.decode(vectors), codec.decode(vectors), rtol=0)


@given(st.data(), st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_masks_are_encoded_as_by_the_codec(data, seed):
    action = data.draw(nested(classes()))
    space = spaces.Dict(
        {"x": spaces.Box(-1, 1, (2,)), "action_mask": data.draw(mask_spaces(action))}
    )
    codec, _ = make_codecs(space, action)
    _, values = batch(space, 3, seed)
    observations = alone(space, action)
    flat = observations._batched(values)[0][1:]
    for x in flat:
        x[:] = 1
    assert (
        observations.encode(values)[0]["action_mask"] == codec.encode(values)["action_mask"]
    ).all()
    flat[0].reshape(len(flat[0]), -1)[1] = 0
    if len(codec.mask[1].choices) == 1 or flat[0].shape[1:] == (sum(codec.mask[1].choices),):
        with pytest.raises(ValueError, match="environment 1 allows no choice"):
            observations.encode(values)


def test_classes_that_do_not_exist_are_reported():
    observations = alone(spaces.Dict({"a": spaces.MultiDiscrete([2, 3])}))
    with pytest.raises(ValueError, match="environment 0 has the class 3 at 'a'"):
        observations.encode({"a": np.array([1, 3])})
    with pytest.raises(ValueError, match="must have the parts a"):
        observations.encode(np.array([1, 2]))
    with pytest.raises(ValueError, match="observation at 'a' is object, not numeric"):
        observations.encode({"a": [1, None]})


@pytest.mark.parametrize(
    ("pixel", "dtype", "message"),
    [
        (0.5, np.float32, "float32, but pixels must be uint8"),
        (255.0, np.float64, "float64, but pixels must be uint8"),
        (300, np.int64, "the pixel 300, but pixels must be uint8"),
        (-1, np.int8, "the pixel -1, but pixels must be uint8"),
    ],
)
def test_what_are_no_pixels_is_refused_as_in_training(pixel, dtype, message):
    space = spaces.Dict({"camera": spaces.Box(0, 255, (64, 64, 3), np.uint8)})
    codec, _ = make_codecs(space, spaces.Discrete(2))
    wrong = {"camera": np.full((2, 64, 64, 3), pixel, dtype)}
    with pytest.raises(ValueError, match=f"at 'camera' {message}"):
        alone(space).encode(wrong)
    with pytest.raises(EnvironmentDataError, match=message):
        codec.encode(wrong)
    # A client's lists are whole numbers of another dtype.
    fine = {"camera": np.full((2, 64, 64, 3), 200, np.int64)}
    assert_equal(alone(space).encode(fine)[0], codec.encode(fine), rtol=0)
    assert codec.encode(fine)["obs/camera"].dtype == np.uint8


def test_keys_that_the_space_does_not_have_are_ignored_as_in_training():
    space = spaces.Dict({"x": spaces.Box(-1, 1, (2,))})
    codec, _ = make_codecs(space, spaces.Discrete(2))
    values = {"x": np.ones((3, 2), np.float32), "more": np.zeros(7)}
    assert_equal(alone(space).encode(values)[0], codec.encode(values), rtol=0)


def test_an_empty_batch_is_rejected():
    with pytest.raises(ValueError, match="0 environments"):
        alone(spaces.Box(-1, 1, (2,))).encode(np.zeros((0, 2)))


@pytest.mark.parametrize("wrong", [1.7, -0.5, 4.0, np.nan, np.inf])
@pytest.mark.filterwarnings("error")
def test_numbers_that_are_no_classes_are_refused(wrong):
    codec, _ = make_codecs(spaces.Discrete(4), spaces.Discrete(2))
    with pytest.raises(ValueError, match="not"):
        alone(spaces.Discrete(4)).encode(wrong)
    with pytest.raises(EnvironmentDataError, match="does not contain"):
        codec.encode(np.array([wrong]))
    (column,) = codec.encode(np.array([3.0])).values()
    assert column == 3
