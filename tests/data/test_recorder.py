"""The recorder: episodes from chunks of streams."""

import numpy as np
import pytest
from episodes import NUMBERS, episode

from rllib_dreamerv3.data import recorder as recorder_module
from rllib_dreamerv3.data.episode import records_of
from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.data.recorder import Recorder
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.records import RecordChunk
from rllib_dreamerv3.spaces.codecs import make_codecs

CODECS = make_codecs(*NUMBERS)
EPISODES = [episode(steps=steps, seed=steps) for steps in (3, 7, 1, 5)]


def recorder_in(directory, **options):
    return Recorder(EpisodeWriter(directory, NUMBERS, None), *CODECS, **options)


def records(episodes=EPISODES):
    parts = [records_of(one, *CODECS) for one in episodes]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def chunk(columns, stream, low, high):
    return RecordChunk(stream, low, {name: column[low:high] for name, column in columns.items()})


def rewards_in(directory):
    return [one.rewards.tolist() for one in open_dataset(directory).episodes()]


@pytest.mark.parametrize("size", [1, 4, 20])
def test_episodes_do_not_depend_on_how_records_arrive(tmp_path, size):
    recorder, columns = recorder_in(tmp_path), records()
    for low in range(0, 20, size):
        for stream in ("a", "b"):
            recorder.add(chunk(columns, stream, low, low + size))
    recorder.close()
    expected = sorted([one.rewards.tolist() for one in EPISODES] * 2)
    assert sorted(rewards_in(tmp_path)) == expected


def test_the_beginning_of_an_episode_before_a_gap_is_dropped(tmp_path):
    recorder, columns = recorder_in(tmp_path), records(EPISODES[:2])
    recorder.add(chunk(columns, "a", 0, 7))
    later = chunk(records(EPISODES[3:]), "a", 0, 6)
    recorder.add(RecordChunk("a", 9, later.columns))
    recorder.close()
    assert rewards_in(tmp_path) == [EPISODES[0].rewards.tolist(), EPISODES[3].rewards.tolist()]


def test_an_episode_without_its_beginning_is_not_written(tmp_path):
    recorder, columns = recorder_in(tmp_path), records(EPISODES[:2])
    recorder.add(chunk(columns, "a", 2, 12))
    recorder.close()
    assert rewards_in(tmp_path) == [EPISODES[1].rewards.tolist()]


def test_streams_that_have_ended_take_no_memory(tmp_path):
    recorder, columns = recorder_in(tmp_path), records()
    for stream in "abc":
        recorder.add(chunk(columns, stream, 0, 6))
    recorder.drop_running()
    assert not recorder._running
    # Records of an old stream that arrive late do not count as an episode.
    recorder.add(chunk(columns, "a", 6, 12))
    recorder.close()
    assert sum(map(len, rewards_in(tmp_path))) == 3 * 3


def test_running_episodes_are_not_written(tmp_path):
    recorder = recorder_in(tmp_path)
    recorder.add(chunk(records(), "a", 0, 3))
    recorder.close()
    assert not list(tmp_path.iterdir())


def test_files_have_the_given_number_of_episodes_or_more(tmp_path):
    recorder, columns = recorder_in(tmp_path, episodes_per_file=2), records()
    for low in range(20):
        recorder.add(chunk(columns, "a", low, low + 1))
    assert len(list(tmp_path.iterdir())) == 2
    assert len(rewards_in(tmp_path)) == 4


@pytest.mark.parametrize("limit", ["SECONDS_PER_FILE", "BYTES_PER_FILE"])
def test_a_file_is_written_after_a_time_or_size(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(recorder_module, limit, 0)
    recorder, columns = recorder_in(tmp_path), records()
    recorder.add(chunk(columns, "a", 0, 3))
    assert not list(tmp_path.iterdir())
    recorder.add(chunk(columns, "a", 3, 4))
    assert len(rewards_in(tmp_path)) == 1


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch, caplog):
    recorder = recorder_in(tmp_path, episodes_per_file=1)

    def fail(self, episodes):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeWriter, "write", fail)
        recorder.add(chunk(records(), "a", 0, 4))
    assert "1 recorded episodes are lost" in caplog.text
    assert "No space left" in caplog.text
    recorder.add(chunk(records(), "a", 4, 12))
    assert len(rewards_in(tmp_path)) == 1
