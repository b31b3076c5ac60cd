"""Action masks: which spaces are masks, what is stored, and how random actions heed them."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import batch_space, iterate
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_spaces import boxes, classes, nested, num_choices

from rllib_dreamerv3.errors import EnvironmentDataError, SpaceError
from rllib_dreamerv3.records import ACTION_MASK
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec, make_codecs
from rllib_dreamerv3.spaces.layout import ActionLayout, ContinuousAction, DiscreteAction, Vector

SEEN = spaces.Box(-1, 1, (2,))


def codecs(mask: gym.Space, action: gym.Space) -> tuple[ObservationCodec, ActionCodec]:
    return make_codecs(spaces.Dict(seen=SEEN, action_mask=mask), action)


def encode(mask_space: gym.Space, action: gym.Space, mask: Any, **options: Any) -> np.ndarray:
    """The column of masks ``[N, ...]`` given as the environments return them."""
    observations, _ = codecs(mask_space, action)
    n = len(mask) if isinstance(mask, np.ndarray) else 1
    seen = np.zeros((n, 2), np.float32)
    return observations.encode({"seen": seen, "action_mask": mask}, **options)[ACTION_MASK]


# ---- The layout ----------------------------------------------------------------------------------


def test_mask_entries_know_their_places_in_the_action_vector() -> None:
    layout = ActionLayout(
        (ContinuousAction(2), DiscreteAction(3), ContinuousAction(1), DiscreteAction(2)), True
    )
    np.testing.assert_array_equal(layout.mask_positions, [2, 3, 4, 6, 7])
    assert layout.mask_slices == (None, slice(0, 3), None, slice(3, 5))
    assert ActionLayout((ContinuousAction(2),)).mask_positions.shape == (0,)


def test_mask_is_a_column_but_no_observation() -> None:
    observations, actions = codecs(spaces.MultiBinary(3), spaces.Discrete(3))
    assert observations.layout.leaves == (Vector("obs/seen", 2),)
    assert actions.layout.masked
    batched = {
        "seen": np.zeros((2, 2), np.float32),
        "action_mask": np.array([[1, 0, 1], [0, 1, 0]]),
    }
    columns = observations.encode(batched)
    assert list(columns) == ["obs/seen", "action_mask"]
    assert columns[ACTION_MASK].dtype == np.uint8
    np.testing.assert_array_equal(columns[ACTION_MASK], [[1, 0, 1], [0, 1, 0]])


def test_without_a_mask_nothing_is_masked() -> None:
    observations, actions = make_codecs(SEEN, spaces.Discrete(3))
    assert not actions.layout.masked
    assert list(observations.encode(np.zeros((1, 2), np.float32))) == ["obs/vector"]


def test_only_the_top_of_the_space_has_a_mask() -> None:
    space = spaces.Dict(inner=spaces.Dict(action_mask=spaces.MultiBinary(2)))
    observations, actions = make_codecs(space, spaces.Discrete(5))
    assert [leaf.key for leaf in observations.layout.leaves] == ["obs/inner/action_mask"]
    assert not actions.layout.masked


def test_decoded_observations_keep_the_order_of_the_space() -> None:
    space = spaces.Dict([("z", SEEN), ("action_mask", spaces.MultiBinary(2)), ("a", SEEN)])
    observations, _ = make_codecs(space, spaces.Discrete(2))
    seen = np.zeros((1, 2), np.float32)
    batched = {"z": seen, "action_mask": np.array([[0, 1]], np.int8), "a": seen + 1}
    decoded = observations.decode(observations.encode(batched))
    assert list(decoded) == ["z", "action_mask", "a"]
    np.testing.assert_array_equal(decoded["action_mask"], [[0, 1]])
    np.testing.assert_array_equal(decoded["a"], [[1, 1]])


# ---- Spaces that are masks -----------------------------------------------------------------------

NESTED_ACTION = spaces.Dict(
    [
        ("move", spaces.Discrete(3, start=5)),
        ("speed", spaces.Box(-1, 1, (2,))),
        ("arms", spaces.Tuple([spaces.MultiDiscrete([2, 4]), SEEN, spaces.MultiBinary(1)])),
    ]
)


@pytest.mark.parametrize(
    "mask_space",
    [
        spaces.MultiBinary(3),
        spaces.MultiDiscrete([2, 2, 2]),
        *[
            spaces.Box(0, 1, (3,), dtype)
            for dtype in (np.bool_, np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64)
        ],
    ],
)
@pytest.mark.parametrize("action", [spaces.Discrete(3), spaces.Tuple([SEEN, spaces.Discrete(3)])])
def test_every_kind_of_array_is_a_mask(mask_space: gym.Space, action: gym.Space) -> None:
    given_mask = np.array([[0, 1, 1], [1, 0, 0]], mask_space.dtype)
    column = encode(mask_space, action, given_mask)
    assert column.dtype == np.uint8
    np.testing.assert_array_equal(column, given_mask)
    observations, _ = codecs(mask_space, action)
    columns = {"obs/seen": np.zeros((2, 2), np.float32), ACTION_MASK: column}
    decoded = observations.decode(columns)["action_mask"]
    assert decoded.dtype == mask_space.dtype
    np.testing.assert_array_equal(decoded, given_mask)


@pytest.mark.parametrize(
    ("mask_space", "mask"),
    [
        (spaces.MultiBinary(11), np.array([[0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0]])),
        (
            spaces.Dict(
                arms=spaces.Tuple([spaces.MultiBinary(6), spaces.MultiBinary(2)]),
                move=spaces.MultiBinary(3),
            ),
            {
                "arms": (np.array([[1, 0, 0, 1, 1, 0]]), np.array([[1, 0]])),
                "move": np.array([[0, 0, 1]]),
            },
        ),
        (
            spaces.Dict(
                move=spaces.Box(0, 1, (3,)),
                arms=spaces.Tuple(
                    [
                        spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([2] * 4)]),
                        spaces.MultiBinary(2),
                    ]
                ),
            ),
            {
                "move": np.array([[0, 0, 1]], np.float32),
                "arms": ((np.array([[1, 0]]), np.array([[0, 1, 1, 0]])), np.array([[1, 0]])),
            },
        ),
        (
            spaces.Dict(arms=spaces.MultiBinary(8), move=spaces.MultiBinary(3)),
            {"arms": np.array([[1, 0, 0, 1, 1, 0, 1, 0]]), "move": np.array([[0, 0, 1]])},
        ),
    ],
    ids=["one array", "by leaf", "by component", "by branch"],
)
def test_nested_masks_follow_the_action_vector(mask_space: gym.Space, mask: Any) -> None:
    """However the mask nests, and in whatever order it lists its keys."""
    column = encode(mask_space, NESTED_ACTION, mask)
    np.testing.assert_array_equal(column, [[0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0]])
    _, actions = codecs(mask_space, NESTED_ACTION)
    # Between the choices lie two numbers of "speed", and two of "arms/1".
    np.testing.assert_array_equal(
        actions.layout.mask_positions, [0, 1, 2, 5, 6, 7, 8, 9, 10, 13, 14]
    )


def test_matrix_with_a_row_for_each_component_is_a_mask() -> None:
    column = encode(
        spaces.MultiBinary((2, 3)),
        spaces.MultiDiscrete([3, 3]),
        np.array([[[1, 0, 0], [0, 1, 1]]], np.int8),
    )
    np.testing.assert_array_equal(column, [[1, 0, 0, 0, 1, 1]])


@pytest.mark.parametrize(
    ("mask", "action", "words"),
    [
        (spaces.MultiBinary(4), spaces.Discrete(3), r"\(4,\).*action space has 3 .*\(3,\)"),
        (
            spaces.MultiBinary(3),
            spaces.MultiDiscrete([3, 2]),
            r"action space has 3 \+ 2 = 5 discrete choices, so it must have the shape \(5,\)",
        ),
        (spaces.MultiBinary((3, 2)), spaces.MultiDiscrete([3, 3]), r"\(3, 2\).*\(6,\)"),
        (spaces.MultiBinary((2, 2)), spaces.MultiDiscrete([2, 3]), r"\(2, 2\).*\(5,\)"),
        (spaces.MultiBinary(3), spaces.MultiBinary(3), r"2 \+ 2 \+ 2 = 6.*off and on"),
        (
            spaces.Dict(move=spaces.MultiBinary(3), arms=spaces.MultiBinary(7)),
            NESTED_ACTION,
            r"at 'action_mask/arms'.*at 'arms' has 2 \+ 4 \+ 2 = 8",
        ),
        (spaces.Dict(move=spaces.MultiBinary(3)), NESTED_ACTION, r"keys \['move', 'arms'\]"),
        (spaces.Tuple([spaces.MultiBinary(3)]), NESTED_ACTION, "must be one MultiBinary of 11"),
        (spaces.Tuple([spaces.MultiBinary(3)]), spaces.Discrete(3), "must be one MultiBinary of 3"),
        (spaces.Tuple([]), spaces.Discrete(3), "must be one MultiBinary of 3"),
        (spaces.Dict(), NESTED_ACTION, r"keys \['move', 'arms'\]"),
        (
            spaces.Tuple([spaces.MultiBinary(3)]),
            spaces.MultiDiscrete([3, 2]),
            "Tuple of 2 items.*or one MultiBinary of 5",
        ),
        (spaces.Box(-1, 1, (3,)), spaces.Discrete(3), r"no action mask.*MultiBinary\(3\)"),
        (spaces.Box(0, np.inf, (3,)), spaces.Discrete(3), "no action mask"),
        (spaces.Discrete(3), spaces.Discrete(3), "no action mask"),
        (spaces.Text(3), spaces.Discrete(3), "no action mask"),
        (spaces.MultiDiscrete([2, 2, 3]), spaces.Discrete(3), "no action mask"),
        (spaces.MultiDiscrete([2, 2], start=[1, 1]), spaces.Discrete(2), "no action mask"),
        (spaces.MultiBinary(2), spaces.Box(-1, 1, (2,)), "no part of the action space.*discrete"),
        (spaces.MultiBinary(2), spaces.Dict(a=spaces.Tuple([SEEN])), "no part of the action space"),
    ],
)
def test_masks_that_do_not_fit_say_what_would(
    mask: gym.Space, action: gym.Space, words: str
) -> None:
    with pytest.raises(SpaceError, match=words):
        codecs(mask, action)


def test_mask_alone_is_no_observation() -> None:
    with pytest.raises(SpaceError, match="nothing but 'action_mask'"):
        make_codecs(spaces.Dict(action_mask=spaces.MultiBinary(2)), spaces.Discrete(2))


def test_bad_action_space_is_named_before_its_mask() -> None:
    with pytest.raises(SpaceError, match="action space at 'a': Text"):
        codecs(spaces.MultiBinary(2), spaces.Dict(a=spaces.Text(2)))


@pytest.mark.parametrize("actions", [None, ActionCodec(spaces.Discrete(2))])
def test_codecs_that_do_not_agree_on_the_mask_are_refused(actions: ActionCodec | None) -> None:
    space = spaces.Dict(seen=SEEN, action_mask=spaces.MultiBinary(2))
    with pytest.raises(ValueError, match="make_codecs"):
        ObservationCodec(space, actions=actions)


# ---- Masks that environments return --------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "mask", "words"),
    [
        (
            spaces.Discrete(3),
            [[1, 0, 0], [0, 0, 0]],
            "Environment 1 .*for the action: entries 0 to 2",
        ),
        (
            spaces.MultiDiscrete([2, 3]),
            [[1, 0, 0, 0, 0]],
            "Environment 0 .*for component 1 of the action: entries 2 to 4",
        ),
        (
            spaces.Dict(a=spaces.Tuple([SEEN, spaces.Discrete(2)]), b=spaces.MultiBinary(2)),
            [[1, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 1]],
            "Environment 1 .*for the action at 'a/1': entries 0 to 1",
        ),
        (
            spaces.Dict(a=spaces.Discrete(1), b=spaces.MultiBinary(2)),
            [[1, 0, 1, 0, 0]],
            "Environment 0 .*for component 1 of the action at 'b': entries 3 to 4",
        ),
    ],
)
def test_masks_that_allow_nothing_name_environment_and_part(
    action: gym.Space, mask: list[list[int]], words: str
) -> None:
    array = np.array(mask, np.int8)
    with pytest.raises(EnvironmentDataError, match=words):
        encode(spaces.MultiBinary(array.shape[1]), action, array)


def test_mask_may_allow_nothing_where_the_episode_ends() -> None:
    action, space = spaces.MultiDiscrete([2, 2]), spaces.MultiBinary(4)
    mask = np.array([[0, 0, 1, 0], [0, 1, 1, 0]], np.int8)
    column = encode(space, action, mask, ended=np.array([True, False]))
    np.testing.assert_array_equal(column, [[1, 1, 1, 0], [0, 1, 1, 0]])
    np.testing.assert_array_equal(mask[0], [0, 0, 1, 0])
    with pytest.raises(EnvironmentDataError, match="Environment 0"):
        encode(space, action, mask, ended=np.array([False, True]))


@pytest.mark.parametrize("value", [0.5, np.nan, 2.0, -1.0])
def test_mask_entries_are_0_or_1(value: float) -> None:
    mask = np.array([[1, 1], [1, value]], np.float32)
    with pytest.raises(EnvironmentDataError, match=f"Environment 1 .*value {value} in entry 1"):
        encode(spaces.Box(0, 1, (2,)), spaces.Discrete(2), mask)


class CountDown(gym.Env):
    """Each choice may be taken once; the episode ends when all are."""

    observation_space = spaces.Dict(seen=SEEN, action_mask=spaces.Box(0, 1, (4,), np.int8))
    action_space = spaces.Discrete(4, start=1)

    def observation(self) -> dict[str, np.ndarray]:
        return {"seen": np.zeros(2, np.float32), "action_mask": self.left.copy()}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.left = np.ones(4, np.int8)
        return self.observation(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict]:
        assert self.left[action - 1] or not self.left.any()
        self.left[action - 1] = 0
        return self.observation(), 1.0, not self.left.any(), False, {}


def test_vector_environment_is_played_by_its_masks() -> None:
    env = SyncVectorEnv([CountDown] * 3)
    observations, actions = make_codecs(CountDown.observation_space, CountDown.action_space)
    rng, ends = np.random.default_rng(0), 0
    mask = observations.encode(env.reset()[0])[ACTION_MASK]
    for _ in range(30):
        observation, _, terminated, _, _ = env.step(actions.decode(actions.sample(rng, 3, mask)))
        mask = observations.encode(observation, terminated)[ACTION_MASK]
        ends += terminated.sum()
    # Four steps, and the one on which a vector environment resets.
    assert ends == 3 * 30 // 5


# ---- Random actions ------------------------------------------------------------------------------


def test_allowed_choices_are_equally_likely() -> None:
    action = spaces.Tuple([spaces.Discrete(4), spaces.Box(-5, 5, (1,)), spaces.Discrete(2)])
    codec = ActionCodec(action, masked=True)
    mask = np.tile(np.array([1, 0, 1, 1, 0, 1], np.uint8), (6000, 1))
    drawn = codec.sample(np.random.default_rng(0), 6000, mask)
    np.testing.assert_allclose(
        drawn[:, :4].mean(axis=0), [1 / 3, 0, 1 / 3, 1 / 3], rtol=0, atol=0.02
    )
    np.testing.assert_allclose(drawn[:, 4].std(), np.sqrt(1 / 3), atol=0.02)
    np.testing.assert_array_equal(drawn[:, 5:], np.tile([0, 1], (6000, 1)))


def test_masks_of_the_wrong_shape_or_without_choice_cannot_be_sampled() -> None:
    codec = ActionCodec(spaces.MultiDiscrete([2, 2]), masked=True)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"shape \(3, 4\), not \(3, 2\)"):
        codec.sample(rng, 3, np.ones((3, 2), np.uint8))
    with pytest.raises(ValueError, match="allows no choice"):
        codec.sample(rng, 1, np.array([[1, 1, 0, 0]], np.uint8))


@settings(deadline=None, max_examples=150)
@given(nested(boxes(2) | classes()), st.integers(1, 4), st.integers(0, 1000))
def test_random_actions_are_allowed_and_in_the_space(
    action_space: gym.Space, n: int, seed: int
) -> None:
    assume(num_choices(action_space))
    rng = np.random.default_rng(seed)
    codec = ActionCodec(action_space, masked=True)
    columns = []
    for leaf in codec.layout.leaves:
        if isinstance(leaf, DiscreteAction):
            part = rng.integers(2, size=(n, leaf.n), dtype=np.uint8)
            part[np.arange(n), rng.integers(leaf.n, size=n)] = 1
            columns.append(part)
    mask = np.concatenate(columns, axis=-1)
    assert mask.shape == (n, num_choices(action_space))
    vectors = codec.sample(rng, n, mask)
    assert vectors.shape == (n, codec.layout.size)
    chosen = vectors[:, codec.layout.mask_positions]
    assert (chosen <= mask).all()
    assert (chosen.sum(axis=-1) == len(columns)).all()
    for one in iterate(batch_space(action_space, n), codec.decode(vectors)):
        assert action_space.contains(one)
