"""The recorder: episodes from chunks of streams."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from episodes import NUMBERS, episode
from gymnasium import spaces

from rllib_dreamerv3.data import recorder as recorder_module
from rllib_dreamerv3.data.episode import records_of
from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.data.recorder import Recorder
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.envs.seeds import TRAINING, SeedKey
from rllib_dreamerv3.plugin.sampling.streams import Streams
from rllib_dreamerv3.records import LATENT_H, RecordChunk
from rllib_dreamerv3.spaces.codecs import Spaces, make_codecs

IMAGES = Spaces(spaces.Box(0, 255, (64, 64, 3), np.uint8), spaces.Discrete(2))
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


def limit_file_to(monkeypatch, records):
    """Write a file after so many records."""
    monkeypatch.setattr(recorder_module, "_OVERHEAD", 0)
    # Three float32 and one int64.
    monkeypatch.setattr(recorder_module, "BYTES_PER_FILE", 20 * records)


def test_a_file_is_written_after_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "SECONDS_PER_FILE", 0)
    recorder, columns = recorder_in(tmp_path), records()
    recorder.add(chunk(columns, "a", 0, 3))
    assert not list(tmp_path.iterdir())
    recorder.add(chunk(columns, "a", 3, 4))
    assert len(rewards_in(tmp_path)) == 1


@pytest.mark.parametrize("options", [{}, {"episodes_per_file": 100}], ids=["time", "episodes"])
def test_a_file_is_written_after_a_size(tmp_path, monkeypatch, options):
    limit_file_to(monkeypatch, 9)
    recorder, columns = recorder_in(tmp_path, **options), records()
    recorder.add(chunk(columns, "a", 0, 4))
    assert not list(tmp_path.iterdir())
    recorder.add(chunk(columns, "a", 4, 12))
    assert len(rewards_in(tmp_path)) == 2


@pytest.mark.parametrize("size", [1, 4, 20])
def test_pieces_of_long_episodes_are_joined_by_the_reader(tmp_path, monkeypatch, size):
    limit_file_to(monkeypatch, 4)
    recorder, columns = recorder_in(tmp_path), records()
    for low in range(0, 20, size):
        for stream in ("a", "b"):
            recorder.add(chunk(columns, stream, low, low + size))
    recorder.close()
    rows = [pq.read_metadata(file).num_rows for file in tmp_path.iterdir()]
    assert sum(rows) > 2 * len(EPISODES)
    expected = [one.rewards.tolist() for one in EPISODES]
    assert sorted(rewards_in(tmp_path)) == sorted(expected * 2)
    for found in open_dataset(tmp_path).episodes():
        (wanted,) = (x for x in EPISODES if x.rewards.tolist() == found.rewards.tolist())
        np.testing.assert_array_equal(found.observations, wanted.observations)
        np.testing.assert_array_equal(found.actions, wanted.actions)
        assert (found.from_reset, found.terminated) == (True, True)


def test_an_episode_that_never_ends_is_written_and_takes_little_memory(tmp_path, monkeypatch):
    limit_file_to(monkeypatch, 4)
    recorder = recorder_in(tmp_path)
    endless = episode(steps=100, terminated=False)
    columns = records([endless])
    for low in range(100):
        recorder.add(chunk(columns, "a", low, low + 1))
        (running,) = recorder._running.values()
        assert len(running.records) <= 4
    (found,) = open_dataset(tmp_path).episodes()
    assert (found.from_reset, found.ended) == (True, False)
    np.testing.assert_array_equal(found.rewards, endless.rewards[: len(found)])
    assert len(found) == 99


def test_images_count_as_they_are_written(tmp_path, monkeypatch):
    """They are stored with 16x16 pixels, and written with 64x64."""
    monkeypatch.setattr(recorder_module, "BYTES_PER_FILE", 64 * 64 * 3 * 10)
    codecs = make_codecs(*IMAGES, image_size=16)
    recorder = Recorder(EpisodeWriter(tmp_path, IMAGES, None), *codecs)
    recorder.add(RecordChunk("a", 0, records_of(episode(IMAGES, steps=20), *codecs)))
    assert len(list(tmp_path.iterdir())) == 1


def test_latents_are_not_kept(tmp_path):
    recorder, columns = recorder_in(tmp_path), records()
    columns[LATENT_H] = np.zeros((20, 512), np.float32)
    recorder.add(chunk(columns, "a", 0, 3))
    (running,) = recorder._running.values()
    (kept,) = running.records
    assert LATENT_H not in kept
    # A view would keep the records of all environments in memory.
    assert all(column.base is None for column in kept.values())


def test_a_new_stream_of_an_environment_replaces_its_old_one(tmp_path):
    recorder, columns = recorder_in(tmp_path), records()
    key = SeedKey(TRAINING, 1, generation=0, reset=0)
    keys = [key, key._replace(reset=1), key._replace(incarnation=(7, 8))]
    for one in [*keys, key._replace(runner=2)]:
        streams = Streams(one.stream_prefix(), 2)
        for low in range(3):
            streams.add({name: np.stack([x[low]] * 2) for name, x in columns.items()})
        for part in streams.take():
            recorder.add(part)
    # Two environments of each of two env runners.
    assert len(recorder._running) == 4
    recorder.close()
    assert not list(tmp_path.iterdir())


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
