"""NPZ files of the authors' code."""

import numpy as np
import pytest
from episodes import NESTED, NUMBERS, episode

from rllib_dreamerv3.data.episode import records_of
from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.spaces.codecs import make_codecs

FLAGS = ("is_first", "is_last", "is_terminal")


def columns_of(spaces, *episodes):
    """Consecutive records, as the authors' code stores them: actions as the policy gives them."""
    parts = [records_of(one, *make_codecs(*spaces)) for one in episodes]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name.removeprefix("obs/"): column for name, column in joined.items()}


def test_episodes_are_divided_at_their_ends(tmp_path):
    written = [episode(seed=0), episode(seed=1, terminated=False, truncated=True)]
    np.savez(tmp_path / "a.npz", **columns_of(NUMBERS, *written, episode(seed=2, terminated=False)))
    found = list(open_dataset(tmp_path).episodes())
    assert [len(one) for one in found] == [5, 5, 4]
    assert [one.ended for one in found] == [True, True, False]
    assert (found[0].terminated, found[1].terminated) == (True, False)
    codecs = make_codecs(*NUMBERS)
    for one, expected in zip(found, written, strict=False):
        one, expected = records_of(one, *codecs), records_of(expected, *codecs)
        for name, column in expected.items():
            np.testing.assert_array_equal(one[name], column, err_msg=name)


def test_keys_with_slashes_are_nested(tmp_path):
    columns = columns_of(NESTED, episode(NESTED))
    np.savez(tmp_path / "a.npz", **columns)
    (found,) = open_dataset(tmp_path).episodes()
    assert found.observations["arm"]["0"].shape == (6, 2)
    assert found.observations["camera"].dtype == np.uint8


def test_files_of_the_authors_driver_and_replay_fit_plain_spaces(tmp_path):
    columns = columns_of(NUMBERS, episode())
    expected = columns["vector"]
    more = {
        "id": np.zeros((6, 16), np.uint8),
        "reset": np.zeros(6, bool),
        "log_reward": np.zeros(6),
        "dyn/deter": np.zeros((6, 3), np.float32),
    }
    np.savez(tmp_path / "a.npz", **columns, **more)
    (found,) = open_dataset(tmp_path).episodes()
    records = records_of(found, *make_codecs(*NUMBERS))
    np.testing.assert_array_equal(records["obs/vector"], expected)


def test_a_file_that_begins_within_an_episode_is_a_part_of_it(tmp_path):
    columns = columns_of(NUMBERS, episode())
    np.savez(tmp_path / "a.npz", **{name: column[2:] for name, column in columns.items()})
    (found,) = open_dataset(tmp_path).episodes()
    assert (found.from_reset, found.terminated, len(found)) == (False, True, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.pop("is_terminal"), "lacks is_terminal"),
        (lambda x: x.update(reward=x["reward"][1:]), "different lengths"),
        (lambda x: x.update(vector=np.array([{}] * 6)), "is damaged"),
        (lambda x: x.update({"vector/0": x["vector"]}), "is damaged"),
    ],
    ids=["a column missing", "lengths", "objects", "a key in a key"],
)
def test_damage_is_named(tmp_path, change, message):
    columns = columns_of(NUMBERS, episode())
    change(columns)
    np.savez(tmp_path / "a.npz", **columns)
    with pytest.raises(DataError, match=rf"a\.npz.*{message}"):
        list(open_dataset(tmp_path).episodes())


def test_half_a_file_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", **columns_of(NUMBERS, episode()))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"a\.npz is damaged"):
        list(open_dataset(tmp_path).episodes())
