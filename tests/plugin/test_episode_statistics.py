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
