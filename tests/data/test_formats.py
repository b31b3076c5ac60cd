"""Which format a path has, and what is said if it has none."""

import pytest
from trained import trained_checkpoint

from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.errors import DataError


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*nowhere"):
        open_dataset(tmp_path / "nowhere")


def test_a_directory_without_data_names_what_could_be_there(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"\.parquet.*Minari.*\.npz"):
        open_dataset(tmp_path)


def test_another_file(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt is not"):
        open_dataset(tmp_path / "notes.txt")


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_the_replay_of_a_run(tmp_path_factory, variant):
    checkpoint = trained_checkpoint(tmp_path_factory, variant)
    dataset = open_dataset(checkpoint.parent)
    assert dataset.place == str(checkpoint)
    assert dataset.env == {"v1": "CartPole-v1", "v2": "ale_py:ALE/Pong-v5"}[variant]
    episodes = list(dataset.episodes())
    assert episodes[0].from_reset
    assert sum(map(len, episodes)) > 8
    observations = episodes[0].observations
    assert observations.shape == (len(episodes[0]) + 1, *dataset.spaces.observation.shape)
    if variant == "v1":
        assert all(one.terminated for one in episodes[:-1])
