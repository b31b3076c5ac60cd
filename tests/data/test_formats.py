"""Which format a path has, and what is said if it has none."""

import numpy as np
import pytest
from episodes import NUMBERS
from trained import trained_checkpoint
from written_checkpoint import write_checkpoint

from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.records import file_name


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*nowhere"):
        open_dataset(tmp_path / "nowhere")


def test_a_directory_without_data_names_what_could_be_there(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"\.parquet.*Minari.*\.npz"):
        open_dataset(tmp_path)


def test_another_file(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt is neither"):
        open_dataset(tmp_path / "notes.txt")


def test_a_single_file_of_the_authors(tmp_path):
    np.savez(tmp_path / "a.npz", reward=np.zeros(3))
    (tmp_path / "b.npz").touch()
    assert open_dataset(tmp_path / "a.npz").parts() == [str(tmp_path / "a.npz")]


@pytest.mark.parametrize("column", ["reward", "index.json"])
def test_replay_that_was_changed_is_refused(tmp_path, column):
    checkpoint = tmp_path / "checkpoint"
    write_checkpoint(checkpoint, *NUMBERS, variant="v2")
    assert list(open_dataset(checkpoint).episodes())
    name = column if "." in column else file_name(column)
    file = checkpoint / "replay_buffer" / name
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match=rf"{name} is damaged: its checksum has changed"):
        open_dataset(checkpoint)


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
