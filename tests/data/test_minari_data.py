"""Minari datasets, read and written by the real package."""

import numpy as np
import pytest
from episodes import NESTED, NUMBERS, episode

from rllib_dreamerv3.data.episode import records_of
from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.data.minari_data import write_minari
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.spaces.codecs import make_codecs

minari = pytest.importorskip("minari", reason="needs the extra offline")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:minari.*")


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("spaces", [NUMBERS, NESTED], ids=["numbers", "nested"])
def test_minari_reads_what_is_written_and_it_is_read_back(spaces, directory):
    written = [
        episode(spaces, seed=0),
        episode(spaces, seed=1, terminated=False, truncated=True),
        episode(spaces, seed=2, terminated=False),  # Minari has no unfinished ones.
    ]
    assert write_minari("made/up-v0", iter(written), spaces, None) == (2, 10)
    theirs = minari.load_dataset("made/up-v0")
    assert (theirs.total_episodes, theirs.total_steps) == (2, 10)
    assert (theirs[0].terminations[-1], theirs[1].truncations[-1]) == (True, True)
    assert not theirs[1].terminations.any()

    codecs = make_codecs(*spaces)
    for place in ("minari:made/up-v0", directory / "made" / "up-v0"):
        dataset = open_dataset(place)
        assert dataset.spaces == spaces
        for found, expected in zip(dataset.episodes(), written[:2], strict=True):
            found, expected = records_of(found, *codecs), records_of(expected, *codecs)
            for name, column in expected.items():
                np.testing.assert_array_equal(found[name], column, err_msg=name)


def test_the_environment_is_written_too():
    spaces = open_spaces("CartPole-v1")
    write_minari("cartpole/two-v0", [episode(spaces)], spaces, "CartPole-v1")
    assert minari.load_dataset("cartpole/two-v0").recover_environment().spec.id == "CartPole-v1"
    assert open_dataset("minari:cartpole/two-v0").env == "CartPole-v1"


def open_spaces(name):
    import gymnasium as gym

    from rllib_dreamerv3.spaces.codecs import Spaces

    env = gym.make(name)
    return Spaces(env.observation_space, env.action_space)


def test_more_episodes_than_are_kept_in_memory(monkeypatch):
    monkeypatch.setattr("rllib_dreamerv3.data.minari_data._EPISODES", 2)
    written = [episode(seed=seed) for seed in range(5)]
    assert write_minari("made/five-v0", written, NUMBERS, None) == (5, 25)
    found = list(open_dataset("minari:made/five-v0").episodes())
    for one, expected in zip(found, written, strict=True):
        np.testing.assert_array_equal(one.rewards, expected.rewards)


def test_a_dataset_that_exists_is_not_changed():
    write_minari("made/up-v0", [episode()], NUMBERS, None)
    with pytest.raises(DataError, match="'made/up-v0' already"):
        write_minari("made/up-v0", [episode(seed=1)], NUMBERS, None)
    assert minari.load_dataset("made/up-v0").total_episodes == 1


def test_an_error_leaves_no_part_of_a_dataset(monkeypatch):
    monkeypatch.setattr("rllib_dreamerv3.data.minari_data._EPISODES", 1)

    def episodes():
        yield episode()
        raise DataError("the second is damaged")

    with pytest.raises(DataError, match="the second is damaged"):
        write_minari("made/up-v0", episodes(), NUMBERS, "own:Environment")
    assert not minari.list_local_datasets()
    assert write_minari("made/up-v0", [episode()], NUMBERS, "own:Environment") == (1, 5)


def test_ctrl_c_leaves_no_part_of_a_dataset(monkeypatch):
    monkeypatch.setattr("rllib_dreamerv3.data.minari_data._EPISODES", 1)

    def episodes():
        yield episode()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_minari("made/up-v0", episodes(), NUMBERS, None)
    assert not minari.list_local_datasets()


def test_without_a_complete_episode_there_is_no_dataset():
    with pytest.raises(DataError, match="no complete episode"):
        write_minari("made/up-v0", [episode(terminated=False)], NUMBERS, None)
    assert not minari.list_local_datasets()


def test_versions_that_store_images_with_loss_are_refused(monkeypatch):
    monkeypatch.setattr(minari, "__version__", "0.5.3")
    with pytest.raises(DataError, match=r"0\.5\.4 or newer.*Version 0\.5\.3 is installed"):
        write_minari("made/up-v0", iter([episode(NUMBERS, 3)]), NUMBERS, None)


def test_a_wrong_id_is_answered():
    with pytest.raises(DataError, match="no id at all"):
        write_minari("no id at all!", [episode()], NUMBERS, None)
    write_minari("made/up-v0", [episode()], NUMBERS, None)
    assert minari.list_local_datasets().keys() == {"made/up-v0"}
    with pytest.raises(DataError, match="There are made/up-v0"):
        open_dataset("minari:made/down-v0")


def test_damage_is_named(directory):
    write_minari("made/up-v0", [episode()], NUMBERS, None)
    (data,) = (directory / "made").rglob("*.hdf5")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(DataError, match=r"made/up-v0"):
        list(open_dataset("minari:made/up-v0").episodes())
    (directory / "made" / "up-v0" / "data" / "metadata.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be opened"):
        open_dataset(directory / "made" / "up-v0")
