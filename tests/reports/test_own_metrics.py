"""Metrics of users are distinguished from those of RLlib and DreamerV3."""

from html.parser import HTMLParser

import pytest
from written_run import result, write_run

from rllib_dreamerv3.reports.history import History
from rllib_dreamerv3.reports.own_metrics import own_metrics
from rllib_dreamerv3.reports.page import build_page
from rllib_dreamerv3.reports.runs import find_runs

LIBRARIES = {
    "sample": 0.1,
    "time_between_sampling": 0.1,
    "env_reset_timer": 0.1,
    "env_step_timer": 0.1,
    "weights_seq_no": 1,
    "weights_age_max": 1,
    "num_episodes": 1,
    "num_episodes_lifetime": 1,
    "num_env_steps_sampled": 1,
    "num_env_steps_sampled_lifetime": 1,
    "num_env_steps_sampled_lifetime_throughput": {"throughput_since_last_reduce": 1.0},
    "num_agent_steps_sampled": {"default_agent": 1},
    "num_module_steps_sampled_lifetime": {"default_policy": 1},
    "num_env_runners_replaced_lifetime": 1,
    "num_observations_outside_lifetime": 1,
    "agent_episode_return_mean": {"default_agent": 1.0},
    "module_episode_return_mean": {"default_policy": 1.0},
    "episode_return_last": 1.0,
    "episode_duration_sec_mean": 1.0,
}


def results(own=lambda steps: {}):
    """Results with everything that is not the user's, and what ``own`` returns for env steps."""
    for steps in (100, 200, 300):
        one = result(steps, 5.0, evaluation=7.0)
        one["env_runners"] |= LIBRARIES | own(steps)
        one["evaluation"]["env_runners"] |= LIBRARIES | own(steps)
        yield one


def test_nothing_of_the_libraries_is_the_users():
    assert own_metrics(History(results())) == []


def test_metrics_of_callbacks_and_numbers_of_info_are_found():
    history = History(
        results(
            lambda steps: {
                "farthest": 2.0,
                "episode_success": steps,
                "reach": {"left": 1.0},
                "info": {
                    "won": {"last_mean": 0.5, "sum_mean": 0.5},
                    "cost": {"last_mean": 1.0, "sum_mean": steps},
                },
            }
        )
    )
    found = own_metrics(history)
    assert [each.title for each in found if "evaluation" not in each.key] == [
        "episode_success",
        "farthest",
        "cost",
        "reach/left",
    ]
    assert [each.title for each in found if "evaluation" in each.key] == [
        "episode_success, evaluation",
        "farthest, evaluation",
        "cost, evaluation",
        "reach/left, evaluation",
    ]


def test_metrics_outside_of_rllibs_groups_are_the_users():
    history = History(one | {"best": 3.0, "mine": {"rate": 0.5}} for one in results())
    assert [each.key for each in own_metrics(history)] == ["best", "mine/rate"]


@pytest.mark.parametrize("own", [{"<b>": 1.0}, {str(i): i for i in range(100)}])
def test_the_page_has_a_section_if_there_are_any(own, tmp_path):
    write_run(tmp_path / "a" / "b", list(results(lambda _: own)))
    page = build_page(find_runs([tmp_path]))
    HTMLParser().feed(page)
    assert "<h2>Own metrics</h2>" in page
    assert "<b>" not in page
    assert ("140 more in progress.csv" in page) == (len(own) == 100)
