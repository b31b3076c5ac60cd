import re
from pathlib import Path

import pytest

from rllib_cli.errors import InputError
from rllib_cli.stop_criteria import KNOWN, RENAMED, criteria, describe


def test_current_names_pass_in_silence():
    notes = []
    stop = dict.fromkeys(KNOWN, 1)
    assert criteria(stop, notes) == stop
    assert notes == []


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_names_are_translated_with_one_line_each(old, new):
    notes = []
    assert criteria({old: 7}, notes) == {new: 7}
    (note,) = notes
    assert old in note
    assert new in note


def test_every_translation_leads_to_a_known_name():
    assert set(RENAMED.values()) <= set(KNOWN)


def test_levels_may_be_nested_or_written_with_slashes():
    nested = criteria({"env_runners": {"episode_return_mean": 450.5}}, [])
    assert nested == criteria({"env_runners/episode_return_mean": "450.5"}, [])
    assert nested == {"env_runners/episode_return_mean": 450.5}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("episode_reward_men", "episode_reward_mean"),
        ("env_runners/episode_return_men", "env_runners/episode_return_mean"),
        ("training_iterations", "training_iteration"),
        ("num_env_step_sampled_lifetime", "num_env_steps_sampled_lifetime"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, nearest):
    with pytest.raises(InputError, match=f"'{name}'. Did you mean '{nearest}'"):
        criteria({name: 1}, [])


def test_results_of_callbacks_are_allowed_where_callbacks_log():
    notes = []
    assert criteria({"env_runners/rooms_seen": 5}, notes) == {"env_runners/rooms_seen": 5}
    assert "callback" in notes[0]


@pytest.mark.parametrize(
    "name", ["env_runners/info/is_success/last_mean", "evaluation/env_runners/info/goals/mean"]
)
def test_results_of_info_are_known(name):
    notes = []
    assert criteria({name: 1}, notes) == {name: 1}
    assert not notes


def test_the_results_of_the_api_page_are_known():
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    table = page.partition("## Keys of results")[2]
    names = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }
    # These are texts, paths, or open groups.
    others = {name for name in names if "..." in name or "<" in name or name.startswith("learner_")}
    others |= {f"product_gflop_per_s/{dtype}" for dtype in ("float32", "bfloat16")}
    assert names - others <= set(KNOWN)
    assert len(names - others) > 15


def test_results_that_callbacks_add_elsewhere_are_allowed():
    notes = []
    assert criteria({"share_of_best": 1}, notes) == {"share_of_best": 1}
    assert "callback" in notes[0]


@pytest.mark.parametrize("value", ["soon", None, True, float("nan"), [1]])
def test_criteria_are_numbers(value):
    with pytest.raises(InputError, match="'training_iteration' must be a number"):
        criteria({"training_iteration": value}, [])


def test_describe():
    assert describe({}) == "until Ctrl-C (no stop criterion)"
    assert (
        describe({"time_total_s": 60, "num_env_steps_sampled_lifetime": 100000})
        == "until time_total_s >= 60 or num_env_steps_sampled_lifetime >= 100,000"
    )
