"""Episode statistics that outlive an iteration."""

import numpy as np

from rllib_dreamerv3.plugin.episode_statistics import EpisodeStatistics
from rllib_dreamerv3.records import RecordChunk


def chunk(stream, start, rewards, firsts, lasts):
    columns = {
        "reward": np.asarray(rewards, np.float32),
        "is_first": np.asarray(firsts, bool),
        "is_last": np.asarray(lasts, bool),
    }
    return RecordChunk(stream, start, columns)


def test_episodes_are_followed_over_chunks_and_streams():
    statistics = EpisodeStatistics(size=10)
    statistics.add(chunk("a", 0, [0, 1], [1, 0], [0, 0]))
    statistics.add(chunk("b", 0, [0, 5], [1, 0], [0, 1]))
    assert statistics.results()["episode_return_mean"] == 5
    statistics.add(chunk("a", 2, [2, 0, 7], [0, 1, 0], [1, 0, 0]))
    results = statistics.results()
    assert (results["episode_return_min"], results["episode_return_max"]) == (3, 5)
    assert results["episode_return_last"] == 3
    assert (results["episode_len_min"], results["episode_len_max"]) == (1, 2)


def test_only_the_last_episodes_count():
    statistics = EpisodeStatistics(size=2)
    for position, reward in enumerate([10, 2, 4]):
        statistics.add(chunk("a", 2 * position, [0, reward], [1, 0], [0, 1]))
    assert statistics.results()["episode_return_mean"] == 3


def test_nothing_is_claimed_before_an_episode_has_ended():
    statistics = EpisodeStatistics(size=2)
    statistics.add(chunk("a", 0, [0, 1], [1, 0], [0, 0]))
    assert statistics.results() == {}


def test_state_keeps_what_has_ended():
    statistics, other = EpisodeStatistics(size=3), EpisodeStatistics(size=3)
    statistics.add(chunk("a", 0, [0, 1, 2], [1, 0, 0], [0, 0, 1]))
    other.set_state(statistics.get_state())
    assert other.results() == statistics.results()


def test_an_episode_with_a_gap_does_not_count():
    """Two episodes of 20 steps, of which the records in the middle are lost."""
    statistics = EpisodeStatistics(size=10)
    statistics.add(chunk("a", 0, [0] + [1] * 15, [1] + [0] * 15, [0] * 16))
    # Lost: the last five steps, the next reset and five steps of the next episode.
    statistics.add(chunk("a", 27, [1] * 15, [0] * 15, [0] * 14 + [1]))
    assert statistics.results() == {}
    statistics.add(chunk("a", 42, [0] + [1] * 20, [1] + [0] * 20, [0] * 20 + [1]))
    results = statistics.results()
    assert results["episode_return_mean"] == results["episode_len_max"] == 20


def test_a_stream_that_is_seen_from_its_middle_on_counts_from_the_next_episode():
    statistics = EpisodeStatistics(size=10)
    statistics.add(chunk("a", 5, [1, 1, 0, 1], [0, 0, 1, 0], [0, 1, 0, 1]))
    assert statistics.results()["episode_return_mean"] == 1
    assert statistics.results()["episode_len_max"] == 1
