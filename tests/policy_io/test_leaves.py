"""What policy.json says of spaces is enough to encode and decode as the package does."""

import json

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import assert_equal, batch, boxes, classes, mask_spaces, nested

from rllib_dreamerv3.policy_io import observations as policy_io_observations
from rllib_dreamerv3.policy_io.leaves import chosen_leaf, leaf_to_json
from rllib_dreamerv3.spaces.codecs import make_codecs


def described(codec, inputs):
    """The entries of policy.json, as they are read from the file."""
    mask = codec.mask
    content = {
        "observations": [
            {
                "path": list(path),
                "shape": list(part.arrays.shape),
                "input": inputs[part.leaf.key],
                "array": leaf_to_json(part.arrays),
            }
            for path, part in codec.parts
        ],
        "action_mask": mask
        and {
            "leaves": [
                {"path": [mask[0], *x.path], "shape": x.space.shape} for x in mask[1].leaves
            ],
            "choices": mask[1].choices,
        },
    }
    return json.loads(json.dumps(content, allow_nan=False))


@given(st.data(), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_observations_are_encoded_as_by_the_codec(data, seed):
    space = data.draw(nested(boxes(3) | classes()))
    codec, _ = make_codecs(space, spaces.Discrete(2))
    names = {leaf.key: leaf.key for leaf in codec.layout.leaves}
    samples, values = batch(space, 3, seed)
    alone = policy_io_observations.Observations(described(codec, names))
    found, single = alone.encode(values)
    assert not single
    assert_equal(found, codec.encode(values), rtol=0)
    found, single = alone.encode(samples[0])
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
    leaf = chosen_leaf(json.loads(json.dumps(leaf_to_json(part.arrays), allow_nan=False)))
    assert leaf.width == codec.layout.size
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
    alone = policy_io_observations.Observations(described(codec, {"obs/x": "x"}))
    flat = alone._batched(values)[0][1:]
    for x in flat:
        x[:] = 1
    assert (alone.encode(values)[0]["action_mask"] == codec.encode(values)["action_mask"]).all()
    flat[0].reshape(len(flat[0]), -1)[1] = 0
    if len(codec.mask[1].choices) == 1 or flat[0].shape[1:] == (sum(codec.mask[1].choices),):
        with pytest.raises(ValueError, match="environment 1 allows no choice"):
            alone.encode(values)


def test_classes_that_do_not_exist_are_told():
    space = spaces.Dict({"a": spaces.MultiDiscrete([2, 3])})
    codec, _ = make_codecs(space, spaces.Discrete(2))
    alone = policy_io_observations.Observations(described(codec, {"obs/a": "a"}))
    with pytest.raises(ValueError, match="environment 0 has the class 3 at 'a'"):
        alone.encode({"a": np.array([1, 3])})
    with pytest.raises(ValueError, match="not nested"):
        alone.encode(np.array([1, 2]))
