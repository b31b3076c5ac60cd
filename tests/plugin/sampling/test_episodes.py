"""Episode statistics that outlive an iteration."""

import json

from rllib_dreamerv3.plugin.sampling.episodes import EpisodeStatistics
from rllib_dreamerv3.records import EndedEpisode


def test_means_and_limits_under_rllibs_names():
    statistics = EpisodeStatistics(size=10)
    statistics.add([EndedEpisode(5.0, 1, 0.5), EndedEpisode(3.0, 2, 1.5)])
    assert statistics.results() == {
        "episode_return_last": 3.0,
        "episode_return_mean": 4.0,
        "episode_return_min": 3.0,
        "episode_return_max": 5.0,
        "episode_len_mean": 1.5,
        "episode_len_min": 1,
        "episode_len_max": 2,
        "episode_duration_sec_mean": 1.0,
        "agent_episode_return_mean": {"default_agent": 4.0},
        "module_episode_return_mean": {"default_policy": 4.0},
    }


def test_numbers_of_info_are_means_over_the_episodes_that_have_them():
    statistics = EpisodeStatistics(size=10)
    statistics.add([EndedEpisode(0.0, 3, 0.0, {"is_success": (1.0, 1.0), "energy": (2.0, 9.0)})])
    statistics.add([EndedEpisode(0.0, 3), EndedEpisode(0.0, 3, 0.0, {"is_success": (0.0, 4.0)})])
    assert statistics.results()["info"] == {
        "is_success": {"last_mean": 0.5, "sum_mean": 2.5},
        "energy": {"last_mean": 2.0, "sum_mean": 9.0},
    }


def test_only_the_last_episodes_count():
    statistics = EpisodeStatistics(size=2)
    statistics.add(EndedEpisode(ret, 1) for ret in (10.0, 2.0, 4.0))
    assert statistics.results()["episode_return_mean"] == 3


def test_nothing_is_claimed_before_an_episode_has_ended():
    assert EpisodeStatistics(size=2).results() == {}


def test_state_is_json_and_older_ones_are_read():
    statistics, other = EpisodeStatistics(size=3), EpisodeStatistics(size=3)
    statistics.add([EndedEpisode(3.0, 2, 1.0, {"x": (1.0, 2.0)})])
    other.set_state(json.loads(json.dumps(statistics.get_state())))
    assert other.results() == statistics.results()
    other.set_state([[7.0, 4]])
    assert other.results()["episode_len_mean"] == 4
