"""Random Gymnasium spaces, and batches of their values, for property tests.

Tests say ``import random_spaces``; pytest has this folder on its path.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array
from hypothesis import strategies as st

INTEGERS = [np.uint8, np.int8, np.int16, np.int32, np.int64]
FLOATS = [np.float16, np.float32, np.float64]


@st.composite
def boxes(draw: Any, max_dims: int) -> spaces.Box:
    """Boxes of every dtype; each element bounded on no, one or two sides."""
    shape = tuple(draw(st.lists(st.integers(1, 9), max_size=max_dims)))
    dtype = draw(st.sampled_from(INTEGERS + FLOATS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        limit = draw(st.sampled_from([3, 100, 2**20]))
        # Box.sample of Gymnasium 1.2 never draws the two first and last integers of a dtype, even
        # where the space holds no others.
        first, top = info.min + 2, info.max - 2
        low = rng.integers(max(first, -limit), min(top, limit), size=shape, endpoint=True)
        high = np.minimum(low + rng.integers(0, limit, size=shape, endpoint=True), top)
        return spaces.Box(low.astype(dtype), high.astype(dtype), shape, dtype)
    scale = draw(st.sampled_from([1e-2, 1.0, 1e3]))
    low = (rng.normal(size=shape) * scale).astype(dtype)
    high = np.maximum(low, (low + rng.exponential(size=shape) * scale).astype(dtype))
    if draw(st.booleans()):
        low = np.where(rng.random(shape) < 0.5, -np.inf, low).astype(dtype)
        high = np.where(rng.random(shape) < 0.5, np.inf, high).astype(dtype)
    return spaces.Box(low, high, shape, dtype)


@st.composite
def classes(draw: Any) -> gym.Space:
    kind = draw(st.sampled_from(["discrete", "multi_discrete", "multi_binary"]))
    if kind == "discrete":
        return spaces.Discrete(draw(st.integers(1, 9)), start=draw(st.integers(-5, 5)))
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    if kind == "multi_binary":
        return spaces.MultiBinary(shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return spaces.MultiDiscrete(
        rng.integers(1, 6, size=shape), start=rng.integers(-3, 4, size=shape)
    )


def nested(leaves: st.SearchStrategy[gym.Space]) -> st.SearchStrategy[gym.Space]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3).map(spaces.Dict)
            | st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple)
        ),
        max_leaves=5,
    )


def batch(space: gym.Space, n: int, seed: int) -> tuple[list[Any], Any]:
    """Samples of the space, and the same as a vector environment would return them."""
    space.seed(seed)
    samples = [space.sample() for _ in range(n)]
    return samples, concatenate(space, samples, create_empty_array(space, n))


def assert_equal(actual: Any, expected: Any, rtol: float, atol: float = 0.0) -> None:
    """Compares nested values; also their dtypes and kinds of nesting."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key in expected:
            assert_equal(actual[key], expected[key], rtol, atol)
    elif isinstance(expected, tuple):
        assert isinstance(actual, tuple)
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            assert_equal(a, e, rtol, atol)
    else:
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def num_choices(action: gym.Space) -> int:
    """Entries that an action mask has for an action space."""
    if isinstance(action, spaces.Dict):
        return sum(num_choices(child) for child in action.spaces.values())
    if isinstance(action, spaces.Tuple):
        return sum(num_choices(child) for child in action.spaces)
    if isinstance(action, spaces.Discrete):
        return int(action.n)
    if isinstance(action, spaces.MultiDiscrete):
        return int(action.nvec.sum())
    return 2 * int(np.prod(action.shape)) if isinstance(action, spaces.MultiBinary) else 0


@st.composite
def mask_spaces(draw: Any, action: gym.Space) -> gym.Space:
    """Spaces of integers that mask a (partly) discrete action space, nested as far as it is."""
    if not isinstance(action, spaces.Discrete) and draw(st.booleans()):
        if isinstance(action, spaces.Dict):
            keys = draw(st.permutations([k for k, a in action.spaces.items() if num_choices(a)]))
            return spaces.Dict([(key, draw(mask_spaces(action[key]))) for key in keys])
        if isinstance(action, spaces.Tuple):
            children = [child for child in action.spaces if num_choices(child)]
        elif isinstance(action, spaces.MultiDiscrete):
            children = [spaces.Discrete(n) for n in action.nvec.reshape(-1)]
        else:
            children = [spaces.Discrete(2)] * int(np.prod(action.shape))
        return spaces.Tuple([draw(mask_spaces(child)) for child in children])
    n = num_choices(action)
    dtype = draw(st.sampled_from([np.bool_, np.int8, np.uint8, np.int64]))
    return draw(
        st.sampled_from(
            [spaces.MultiBinary(n), spaces.MultiDiscrete([2] * n), spaces.Box(0, 1, (n,), dtype)]
        )
    )
