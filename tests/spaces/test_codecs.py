"""Spaces <-> columns and action vectors, on random nested spaces and on the odd ones by hand."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import batch_space, iterate
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import assert_equal, batch, boxes, classes, nested
from vectors import case

from rllib_dreamerv3.errors import EnvironmentDataError, SpaceError
from rllib_dreamerv3.records import file_name
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec
from rllib_dreamerv3.spaces.layout import (
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    Vector,
)
from rllib_dreamerv3.spaces.nesting import flatten, leaves, unflatten


@settings(deadline=None, max_examples=150)
@given(nested(boxes(3) | classes()), st.integers(1, 3), st.integers(0, 1000))
def test_observations_come_back(space: gym.Space, n: int, seed: int) -> None:
    codec = ObservationCodec(space)
    samples, batched = batch(space, n, seed)
    columns = codec.encode(batched)
    assert list(columns) == [leaf.key for leaf in codec.layout.leaves]
    for leaf in codec.layout.leaves:
        assert columns[leaf.key].shape == (n, *leaf.shape)
        assert columns[leaf.key].dtype == leaf.dtype
        assert leaf.key.startswith("obs/")
        if isinstance(leaf, Categorical):
            assert (columns[leaf.key] >= 0).all()
            assert (columns[leaf.key] < np.array(leaf.classes)).all()
    decoded = codec.decode(columns)
    assert_equal(decoded, batched, rtol=2e-7)
    for one in iterate(batch_space(space, n), decoded):
        assert space.contains(one)
    # Without clipping too, where numbers were inside of their bounds.
    assert_equal(codec.decode(columns, clip=False), decoded, rtol=0)
    assert len(samples) == n


@settings(deadline=None, max_examples=150)
@given(nested(boxes(3) | classes()), st.integers(1, 3), st.integers(0, 1000))
def test_actions_come_back(space: gym.Space, n: int, seed: int) -> None:
    codec = ActionCodec(space)
    _, batched = batch(space, n, seed)
    vectors = codec.encode(batched)
    assert vectors.shape == (n, codec.layout.size)
    assert vectors.dtype == np.float32
    # A float32 in [-1, 1] resolves 6e-8 of the range, which is below 1e4 for these floats and at
    # most 2**20 for these integers, which are rounded.
    assert_equal(codec.decode(vectors), within_reach(space, batched), rtol=2e-7, atol=5e-4)


def within_reach(space: gym.Space, batched: Any) -> Any:
    """Actions with all elements that do not have two bounds in [-1, 1], or at their one bound."""
    values = flatten(space, batched)
    for i, (_, leaf) in enumerate(leaves(space, "action space")):
        if isinstance(leaf, spaces.Box) and not leaf.is_bounded("both"):
            unit = np.clip(np.clip(values[i], -1, 1), leaf.low, leaf.high)
            bounded = leaf.bounded_below & leaf.bounded_above
            values[i] = np.where(bounded, values[i], unit).astype(leaf.dtype)
    return unflatten(space, iter(values))


@settings(deadline=None, max_examples=150)
@given(nested(boxes(3) | classes()), st.integers(1, 3), st.integers(0, 1000), st.booleans())
def test_every_action_vector_is_a_valid_action(
    space: gym.Space, n: int, seed: int, wild: bool
) -> None:
    codec = ActionCodec(space)
    rng = np.random.default_rng(seed)
    vectors = codec.sample(rng, n)
    assert vectors.shape == (n, codec.layout.size)
    assert vectors.dtype == np.float32
    assert np.abs(vectors).max() <= 1.0
    if wild:
        vectors = (vectors * 10.0 ** rng.integers(-3, 5, size=vectors.shape)).astype(np.float32)
    decoded = codec.decode(vectors)
    for one in iterate(batch_space(space, n), decoded):
        assert space.contains(one)


def test_action_unnormalise_vector() -> None:
    inputs, expected, rtol, atol = case("action_unnormalise")
    space = spaces.Box(inputs["low"].astype(np.float32), inputs["high"].astype(np.float32))
    decoded = ActionCodec(space).decode(inputs["a"][None].astype(np.float32))
    np.testing.assert_allclose(decoded[0], expected["env"], rtol=rtol, atol=atol)


# ---- How observations are stored -----------------------------------------------------------------


def only_leaf(space: gym.Space) -> Any:
    (leaf,) = ObservationCodec(space).layout.leaves
    return leaf


@pytest.mark.parametrize(
    ("box", "leaf"),
    [
        (spaces.Box(0, 255, (8, 8), np.uint8), Image("obs/image", 8, 8, 1)),
        (spaces.Box(-1, 1, (2, 3), np.float16), Vector("obs/vector", 6)),
        (spaces.Box(0, 255, (7, 10), np.uint8), Vector("obs/vector", 70)),
        (spaces.Box(0, 254, (8, 10), np.uint8), Vector("obs/vector", 80)),
        (spaces.Box(0, 255, (8, 10), np.int16), Vector("obs/vector", 80)),
        (spaces.Box(-1, 1, (), np.float64), Vector("obs/vector", 1)),
        (spaces.Discrete(5, start=2), Categorical("obs/state", (5,))),
        (spaces.MultiDiscrete([[2, 3], [4, 5]]), Categorical("obs/state", (2, 3, 4, 5))),
        (spaces.MultiBinary((2, 2)), Categorical("obs/state", (2, 2, 2, 2))),
        (
            spaces.Box(-2.0, 3.0, (8, 8, 2), np.float64),
            Image("obs/image", 8, 8, 2, -2.0, 3.0, "float32"),
        ),
        (
            spaces.Box(5, 5, (8, 8, 2), np.int32),
            Image("obs/image", 8, 8, 2, 5.0, 6.0, "float32"),
        ),
    ],
)
def test_leaf_of_a_space_without_nesting(box: gym.Space, leaf: Any) -> None:
    assert only_leaf(box) == leaf


def test_paths_and_order_follow_the_space() -> None:
    inner = spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2,))])
    space = spaces.Dict({"z": spaces.Box(-1, 1, (3,)), "a": spaces.Dict(b=inner)})
    keys = [leaf.key for leaf in ObservationCodec(space).layout.leaves]
    assert keys == ["obs/a/b/0", "obs/a/b/1", "obs/z"]


def test_huge_numbers_stay_finite() -> None:
    space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    column = ObservationCodec(space).encode(np.array([[1e300, -1e300]]))["obs/vector"]
    assert np.isfinite(column).all()
    assert column[0, 0] == np.finfo(np.float32).max


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_nan_and_infinity_name_the_environment_and_the_part(value: float, kind: str) -> None:
    space = spaces.Dict(arm=spaces.Tuple([spaces.Box(-np.inf, np.inf, (3,))]))
    observation = {"arm": (np.zeros((4, 3), np.float32),)}
    observation["arm"][0][2, 1] = value
    with pytest.raises(EnvironmentDataError, match=f"Environment 2 returned {kind} in 'obs/arm/0'"):
        ObservationCodec(space).encode(observation)


def test_class_outside_the_space_is_an_error() -> None:
    with pytest.raises(EnvironmentDataError, match="Environment 1 returned the value 9"):
        ObservationCodec(spaces.Discrete(3, start=4)).encode(np.array([4, 9]))


class OwnSpace(gym.Space):
    pass


@pytest.mark.parametrize("codec", [ObservationCodec, ActionCodec])
@pytest.mark.parametrize(
    ("bad", "advice"),
    [
        (spaces.Graph(spaces.Box(-1, 1, (2,)), None), "Graph spaces.*wrapper"),
        (spaces.Text(5), "Text spaces.*fixed length"),
        (spaces.Sequence(spaces.Discrete(2)), "Sequence spaces.*Pad"),
        (spaces.OneOf([spaces.Discrete(2)]), "OneOf spaces.*Dict"),
        (OwnSpace(), "OwnSpace spaces.*Turn it into"),
        (spaces.Box(-1, 1, (3, 0)), "holds no values"),
        (spaces.Box(-1, 1, (2, 3, 4, 5)), "4 dimensions.*Reshape"),
        (spaces.Discrete(10**9), "1000000000 classes"),
        (spaces.Dict(), "empty"),
        (spaces.Tuple([]), "empty"),
    ],
)
def test_spaces_that_cannot_work_name_path_and_way_out(
    codec: Any, bad: gym.Space, advice: str
) -> None:
    space = spaces.Dict(a=spaces.Tuple([spaces.Discrete(2), bad]))
    with pytest.raises(SpaceError, match=f"at 'a/1': .*{advice}"):
        codec(space)
    with pytest.raises(SpaceError, match=f"space: .*{advice}"):
        codec(bad)


def test_two_parts_of_one_name_are_an_error() -> None:
    box = spaces.Box(-1, 1, (2,))
    with pytest.raises(SpaceError, match="both called 'a/b'"):
        ObservationCodec(spaces.Dict({"a/b": box, "a": spaces.Dict(b=box)}))


@pytest.mark.parametrize(("letter", "length"), [("x", 1), ("+", 3), ("\N{GRINNING FACE}", 12)])
def test_names_are_as_long_as_those_of_files_at_most(
    letter: str, length: int, tmp_path: Path
) -> None:
    most = (255 - len("obs%2Fa%2F.npy")) // length
    box = spaces.Box(-1, 1, (2,))

    def nested_of(letters: int) -> gym.Space:
        return spaces.Dict(a=spaces.Dict({letter * letters: box}))

    (leaf,) = ObservationCodec(nested_of(most)).layout.leaves
    (tmp_path / file_name(leaf.key)).touch()
    with pytest.raises(SpaceError, match=r"is too long: .* Shorten the keys"):
        ObservationCodec(nested_of(most + 1))


# ---- How actions are understood ------------------------------------------------------------------


def test_action_layout_lists_components_in_the_order_of_the_space() -> None:
    space = spaces.Tuple(
        [
            spaces.Box(-1, 1, (2, 3)),
            spaces.MultiDiscrete([2, 5], start=[1, -1]),
            spaces.Dict(z=spaces.MultiBinary(2), a=spaces.Discrete(4)),
        ]
    )
    # Gymnasium keeps keyword arguments in the order in which they are written.
    sizes = [6, 2, 5, 2, 2, 4]
    leaves = ActionCodec(space).layout.leaves
    assert leaves[0] == ContinuousAction(6)
    assert leaves[1:] == tuple(DiscreteAction(n) for n in sizes[1:])


def test_discrete_start_counts() -> None:
    space = spaces.Tuple([spaces.Discrete(3, start=7), spaces.MultiDiscrete([2, 3], start=[1, -1])])
    vector = np.array([[0, 0.2, 0.9, 0, 1, 1, 0, 0]], np.float32)
    discrete, multi = ActionCodec(space).decode(vector)
    np.testing.assert_array_equal(discrete, [9])
    np.testing.assert_array_equal(multi, [[2, -1]])


def test_all_numbers_are_clipped_before_they_reach_the_environment(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also where nothing else limits them: the world model would not see more."""
    low = np.array([-np.inf, -np.inf, 0.0, -np.inf, -2.0], np.float32)
    high = np.array([np.inf, np.inf, np.inf, 0.5, 2.0], np.float32)
    space = spaces.Box(low, high)
    for _ in range(2):
        codec = ActionCodec(space)
    assert caplog.text.count("without two finite bounds") == 1
    vectors = [[1.7, -0.25, -3.0, 0.75, 0.5], [-7.5, 1.0, 0.25, -1.5, 1.7]]
    seen = [[1.0, -0.25, 0.0, 0.5, 1.0], [-1.0, 1.0, 0.25, -1.0, 2.0]]
    np.testing.assert_array_equal(codec.decode(np.array(vectors, np.float32)), np.float32(seen))


def test_bounded_actions_need_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    ActionCodec(spaces.Box(-3.0, 2.0, (2,)))
    assert not caplog.text


@pytest.mark.parametrize(
    ("clip", "seen"),
    [(False, [[1.0, -0.25, -1.0, 0.75]]), (True, [[2.0, -0.25, 0.0, 0.5]])],
)
def test_numbers_that_are_not_normalized_stay_as_they_are(
    clip: bool, seen: Any, caplog: pytest.LogCaptureFixture
) -> None:
    space = spaces.Box(np.float32([2, -9, 0, -np.inf]), np.float32([6, 9, np.inf, 0.5]))
    codec = ActionCodec(space, normalize=False, clip=clip)
    vectors = np.array([[1.7, -0.25, -3.0, 0.75]], np.float32)
    decoded = codec.decode(vectors)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, seen)
    if not clip:
        np.testing.assert_array_equal(codec.encode(decoded), np.clip(vectors, -1, 1))
    # No warning if it is configured.
    assert not caplog.text


@pytest.mark.parametrize(
    ("dtype", "seen"), [(np.uint8, [0, 0, 1]), (np.int8, [-1, 0, 1]), (np.float64, [-1, 0.25, 1])]
)
def test_numbers_that_are_not_normalized_fit_the_dtype(dtype: Any, seen: list[float]) -> None:
    codec = ActionCodec(spaces.Box(0, 100, (1,), dtype), normalize=False)
    decoded = codec.decode(np.array([[-1.0], [0.25], [1.0]], np.float32))
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded[:, 0], seen)


def test_choices_are_never_scaled() -> None:
    space = spaces.Tuple([spaces.Discrete(3, start=7), spaces.Box(2, 6, (1,))])
    vector = np.array([[0, 0, 1, 0.5]], np.float32)
    choice, number = ActionCodec(space, normalize=False).decode(vector)
    np.testing.assert_array_equal(choice, [9])
    np.testing.assert_array_equal(number, [[0.5]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float16, np.float64])
def test_ends_of_the_range_are_reached_exactly(dtype: Any) -> None:
    info = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    space = spaces.Box(info.min, info.max, (1,), dtype)
    decoded = ActionCodec(space).decode(np.array([[-1e9], [0.0], [1e9]], np.float32))
    assert decoded.dtype == dtype
    assert all(space.contains(one) for one in decoded)
    if dtype is not np.float64:  # Its range is wider than a float64 can say: not scaled.
        assert decoded[0] == info.min
        assert decoded[2] == info.max


def test_integer_boxes_are_rounded() -> None:
    decoded = ActionCodec(spaces.Box(0, 10, (1,), np.int32)).decode(
        np.array([[-1.0], [-0.51], [0.15], [1.0]], np.float32)
    )
    np.testing.assert_array_equal(decoded[:, 0], [0, 2, 6, 10])


def test_nan_action_says_that_the_policy_diverged() -> None:
    codec = ActionCodec(spaces.Box(-1, 1, (2,)))
    with pytest.raises(ValueError, match="diverged"):
        codec.decode(np.array([[0.0, np.nan]], np.float32))


def test_random_actions_are_uniform_and_repeatable() -> None:
    space = spaces.Tuple([spaces.Discrete(4), spaces.Box(-5, 5, (2,))])
    codec = ActionCodec(space)
    actions = codec.sample(np.random.default_rng(0), 4000)
    np.testing.assert_allclose(actions[:, :4].mean(axis=0), 0.25, atol=0.03)
    np.testing.assert_allclose(actions[:, :4].sum(axis=-1), 1.0)
    np.testing.assert_allclose(actions[:, 4:].std(axis=0), np.sqrt(1 / 3), atol=0.03)
    np.testing.assert_array_equal(actions, codec.sample(np.random.default_rng(0), 4000))


class Recorder(gym.Env):
    """Accepts any action of its space and reports it as the next observation."""

    def __init__(self, space: gym.Space) -> None:
        self.observation_space = self.action_space = space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.observation_space.seed(0)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action)
        return action, 0.0, False, False, {}


@settings(deadline=None, max_examples=40)
@given(nested(boxes(3) | classes()))
def test_vector_environments_take_and_return_what_the_codecs_do(space: gym.Space) -> None:
    env = SyncVectorEnv([lambda: Recorder(space)] * 3)
    observations, actions = ObservationCodec(space), ActionCodec(space)
    observations.encode(env.reset()[0])
    chosen = actions.decode(actions.sample(np.random.default_rng(0), 3))
    seen = env.step(chosen)[0]
    assert_equal(seen, chosen, rtol=0)
    assert_equal(observations.decode(observations.encode(seen)), chosen, rtol=2e-7)
