"""Episodes <-> records: alignment, ends, and what is refused."""

import numpy as np
import pytest
from episodes import NESTED, NUMBERS, episode, values
from gymnasium import spaces

from rllib_dreamerv3.data.episode import Episode, episodes_of, records_of
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.spaces.codecs import Spaces, make_codecs

LINE = Spaces(spaces.Box(-9.0, 9.0, (1,), np.float32), spaces.Discrete(2))
OF_TWO_STEPS = {
    "observations": np.array([[1.0], [2.0], [3.0]]),
    "actions": np.array([1, 0]),
    "rewards": np.array([10.0, 20.0]),
}


def line(**ends):
    given = OF_TWO_STEPS | {"terminated": False, "truncated": False} | ends
    return records_of(Episode(**given), *make_codecs(*LINE))


def test_rewards_stand_with_the_observations_they_came_with_and_actions_where_they_were_chosen():
    columns = line(terminated=True)
    np.testing.assert_array_equal(columns["obs/vector"], [[1], [2], [3]])
    np.testing.assert_array_equal(columns["reward"], [0, 10, 20])
    np.testing.assert_array_equal(columns["action"], [[0, 1], [1, 0], [0, 0]])
    np.testing.assert_array_equal(columns["is_first"], [True, False, False])
    np.testing.assert_array_equal(columns["is_last"], [False, False, True])
    np.testing.assert_array_equal(columns["is_terminal"], [False, False, True])
    assert columns["obs/vector"].dtype == columns["reward"].dtype == np.float32


def test_a_truncated_episode_ends_without_a_terminal_record():
    columns = line(truncated=True)
    np.testing.assert_array_equal(columns["is_last"], [False, False, True])
    assert not columns["is_terminal"].any()


def test_an_episode_without_end_lacks_the_record_whose_action_is_unknown():
    columns = line()
    assert all(len(column) == 2 for column in columns.values())
    assert not columns["is_last"].any()


def test_a_part_without_beginning_has_no_first_record():
    assert not line(terminated=True, from_reset=False)["is_first"].any()


@pytest.mark.parametrize("of", [NUMBERS, NESTED], ids=["numbers", "nested"])
def test_records_become_the_same_episodes(of):
    codecs = make_codecs(*of)
    parts = [
        records_of(episode(of, seed=1), *codecs),
        records_of(episode(of, 1, seed=2, terminated=False, truncated=True), *codecs),
        records_of(episode(of, 7, seed=3, terminated=False), *codecs),
    ]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = list(episodes_of(joined, *codecs, source="here"))
    # The last record of the unfinished one has no step.
    assert [len(one) for one in found] == [5, 1, 6]
    assert [one.terminated for one in found] == [True, False, False]
    assert [one.truncated for one in found] == [False, True, False]
    for one, part in zip(found, parts[:2], strict=False):
        again = records_of(one, *codecs)
        for name, column in part.items():
            np.testing.assert_allclose(again[name], column, atol=1e-6, err_msg=name)


def test_what_the_space_lacks_is_ignored_and_float64_is_taken():
    given = {"arm": values(NESTED.observation["arm"], 6, 0), "more": np.zeros(6)}
    given["camera"] = values(NESTED.observation["camera"], 6, 0)
    given["arm"] = (given["arm"][0].astype(np.float64), given["arm"][1])
    columns = records_of(episode(NESTED, observations=given), *make_codecs(*NESTED))
    assert columns["obs/arm/0"].dtype == np.float32
    assert not any("more" in name for name in columns)


def test_a_dict_of_one_array_and_one_hot_actions_are_taken_for_plain_spaces():
    given = episode(NUMBERS)
    one_hot = np.eye(4)[given.actions - 2]
    same = episode(NUMBERS, observations={"vector": given.observations}, actions=one_hot)
    codecs = make_codecs(*NUMBERS)
    for name, column in records_of(given, *codecs).items():
        np.testing.assert_array_equal(records_of(same, *codecs)[name], column)


def test_discrete_actions_in_a_column_are_classes_not_one_hot():
    given = episode(NUMBERS)
    column = episode(NUMBERS, actions=given.actions[:, None])
    codecs = make_codecs(*NUMBERS)
    np.testing.assert_array_equal(
        records_of(column, *codecs)["action"], records_of(given, *codecs)["action"]
    )


def test_observations_outside_of_their_bounds_are_recorded_as_they_are():
    space = spaces.Dict(
        {
            "wide": spaces.Box(-1.0, 1.0, (2,), np.float32),
            # 0.1 in float32 is more than 0.1 in float64.
            "exact": spaces.Box(0.0, 0.1, (), np.float64),
            "whole": spaces.Box(0, 5, (1,), np.int32),
        }
    )
    seen = {
        "wide": np.array([[0, 5], [-3, 1]], np.float32),
        "exact": np.array([0.1, 0.0]),
        "whole": np.array([[5], [0]], np.int32),
    }
    codecs = make_codecs(space, spaces.Discrete(2))
    given = Episode(seen, np.array([1]), np.array([1.0]), terminated=True, truncated=False)
    (found,) = episodes_of(records_of(given, *codecs), *codecs, source="here")
    for name, value in seen.items():
        np.testing.assert_array_equal(found.observations[name], value, err_msg=name)
        assert found.observations[name].dtype == space[name].dtype


def test_columns_of_the_authors_are_no_observations():
    given = episode(NUMBERS)
    more = {
        "vector": given.observations,
        "id": np.zeros((6, 16), np.uint8),
        "reset": np.zeros(6, bool),
        "log_speed": np.zeros((6, 3), np.float32),
        "dyn": {"deter": np.zeros((6, 3), np.float32)},
    }
    codecs = make_codecs(*NUMBERS)
    for found in (more, more | {"height": np.zeros(6)}):
        np.testing.assert_array_equal(
            records_of(episode(NUMBERS, observations=found), *codecs)["obs/vector"],
            given.observations,
        )


def test_a_space_may_have_the_names_of_the_authors():
    of = Spaces(spaces.Dict(reset=spaces.Discrete(2), x=spaces.Box(-1, 1, (2,))), LINE.action)
    assert "obs/reset" in records_of(episode(of), *make_codecs(*of))
    alone = episode(NUMBERS, observations={"id": episode(NUMBERS).observations})
    assert "obs/vector" in records_of(alone, *make_codecs(*NUMBERS))


def with_value(array, value):
    changed = np.asarray(array, np.float64).copy()
    changed[1] = value
    return changed


def one_hot(second):
    """Five one-hot actions, but for the second."""
    rows = np.eye(4)[[0, 1, 2, 3, 0]]
    rows[1] = second
    return rows


WRONG = {
    "no steps": (NUMBERS, {"rewards": np.zeros(0)}, "has no steps"),
    "rewards in rows": (NUMBERS, {"rewards": np.zeros((5, 2))}, r"shape \[5, 2\]"),
    "reward NaN": (
        NUMBERS,
        {"rewards": np.array([0, np.nan, 0, 0, 0])},
        "reward, as float32, has NaN in step",
    ),
    "reward infinite": (NUMBERS, {"rewards": np.array([np.inf] * 5)}, "infinity in step 0"),
    "reward beyond float32": (
        NUMBERS,
        {"rewards": np.array([0, 0, -1e39, 0, 0])},
        "reward, as float32, has infinity in step 2",
    ),
    "one-hot with NaN": (NUMBERS, {"actions": one_hot([np.nan, 1, 0, 0])}, r"step 1 is \[nan, 1"),
    "one-hot of zeros": (NUMBERS, {"actions": one_hot([0, 0, 0, 0])}, "one 1 and 3 zeros"),
    "one-hot of fractions": (NUMBERS, {"actions": one_hot([0.4, 0.6, 0, 0])}, "step 1 is"),
    "one-hot of two": (NUMBERS, {"actions": one_hot([1, 1, 0, 0])}, "step 1 is"),
    "one-hot of another number": (NUMBERS, {"actions": one_hot([0, 2, 0, 0])}, "step 1 is"),
    "ragged actions": (NUMBERS, {"actions": [[0.0] * 4] * 4 + [[0.0]]}, "array of numbers"),
    "two possible observations": (
        NUMBERS,
        {"observations": {"a": np.zeros((6, 3)), "b": np.zeros((6, 3)), "c": np.zeros(6)}},
        r"shape \[6, 3\]. Of 'a', 'b', 'c' these do: 'a', 'b'",
    ),
    "no possible observation": (
        NUMBERS,
        {"observations": {"b": np.zeros((6, 2)), "c": np.zeros(6)}},
        "Of 'b', 'c' these do: none",
    ),
    "rewards of words": (NUMBERS, {"rewards": np.array(list("abcde"))}, "array of numbers"),
    "observation NaN": (
        NUMBERS,
        {"observations": with_value(np.zeros((6, 3)), np.nan)},
        "the observation has NaN in step 1",
    ),
    "an observation too few": (NUMBERS, {"observations": np.zeros((5, 3))}, r"\[6, 3\] is needed"),
    "observations of another size": (NUMBERS, {"observations": np.zeros((6, 4))}, r"shape \[6, 4"),
    "ragged": (NUMBERS, {"observations": [[0.0] * 3] * 5 + [[0.0]]}, "array of numbers"),
    "None": (NUMBERS, {"observations": None}, "array of numbers"),
    "another class of action": (
        NUMBERS,
        {"actions": np.array([2, 9, 2, 2, 2])},
        "value 9 in step 1",
    ),
    "neither one-hot nor classes": (NUMBERS, {"actions": np.zeros((5, 3))}, r"shape \[5, 3\]"),
    "a number where a tuple is": (
        NESTED,
        {"observations": {"camera": np.zeros((6, 64, 64, 3), np.uint8), "arm": 3}},
        "observation at 'arm/0' is missing",
    ),
    "half an action": (NUMBERS, {"actions": np.array([2, 2.5, 2, 2, 2])}, "value 2.5 in step 1"),
    "not a dict": (NESTED, {"observations": np.zeros((6, 3))}, "ndarray, but the space is a Dict"),
    "a key missing": (NESTED, {"observations": {"camera": 0}}, "observation at 'arm' is missing"),
    "a part of a tuple missing": (
        NESTED,
        {
            "observations": {
                "camera": np.zeros((6, 64, 64, 3), np.uint8),
                "arm": (np.zeros((6, 2)),),
            }
        },
        "observation at 'arm/1' is missing",
    ),
    "pixels as floats": (
        NESTED,
        {
            "observations": values(NESTED.observation, 6, 0)
            | {"camera": np.zeros((6, 64, 64, 3), np.float32)}
        },
        "observation at 'camera' has float32, but pixels must be uint8",
    ),
    "action infinite": (
        NESTED,
        {"actions": {"push": np.full((5, 2), np.inf), "grip": np.zeros(5, int)}},
        "action at 'push' has infinity",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_learned_from_is_named(name):
    of, changes, message = WRONG[name]
    with pytest.raises(DataError, match=message) as error:
        records_of(episode(of, source="file 7", **changes), *make_codecs(*of))
    assert "file 7" in str(error.value)
