"""Findings: each rule with values that trigger it, and with values that do not."""

import numpy as np
import pytest

from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import History

RESULTS = 30
BIAS = "learners/default_policy/ACTOR_action_bias"
OPTIONS = {"model_size": "XS", "training_ratio": 64, "batch_size_B": 16, "batch_length_T": 64}


def run(updates=3000, config=None, **changes):
    """A healthy run of 30 results, with some metrics changed.

    A change is a constant, or the first value and the value from the middle on.
    """
    values = {
        "learners/default_policy/WORLD_MODEL_L_total": (10.0, 2.0),
        "learners/default_policy/WORLD_MODEL_L_decoder": (3.0, 0.2),
        "learners/default_policy/WORLD_MODEL_KL": (1.5, 0.9),
        "learners/default_policy/WORLD_MODEL_L_continue": (0.08, 0.03),
        "learners/default_policy/WORLD_MODEL_gradients_global_norm": (10.0, 1.0),
        "learners/default_policy/WORLD_MODEL_reward_signal": 0.2,
        "learners/default_policy/WORLD_MODEL_reward_signal_predicted": (0.0, 0.19),
        "learners/default_policy/ACTOR_action_entropy": (0.6, 0.3),
        "learners/default_policy/ACTOR_value_targets_pct5_ema": (0.0, 1.0),
        "learners/default_policy/ACTOR_value_targets_pct95_ema": (0.0, 20.0),
        "env_runners/episode_return_mean": (20.0, 100.0),
        "env_runners/episode_return_min": (9.0, 60.0),
        "env_runners/episode_return_max": (40.0, 150.0),
        "env_runners/episode_len_mean": (20.0, 100.0),
        "replay_buffer/num_records": (1000.0, 50_000.0),
        "replay_buffer/num_episodes_stored": (40.0, 700.0),
        "replay_buffer/num_env_steps_evicted_lifetime": 0.0,
        "replay_buffer/num_env_steps_added_lifetime": (1000.0, 50_000.0),
        "replay_buffer/reward_min": 0.0,
        "replay_buffer/reward_max": 2.0,
        "actual_training_ratio": 64.0,
        "timers/learn": 0.1,
        "timers/sample": 0.001,
        "num_grad_updates_lifetime": (0.0, float(updates)),
    }
    for name, value in changes.items():
        (full,) = [key for key in values if key.endswith(name)] or [name]
        values[full] = value
    lines = {
        name: np.interp(np.arange(RESULTS), [0, RESULTS // 2], value)
        if isinstance(value, tuple)
        else np.full(RESULTS, value)
        for name, value in values.items()
    }
    lines["num_env_steps_sampled_lifetime"] = np.linspace(1000.0, 50_000.0, RESULTS)
    return History(
        {"config": {**OPTIONS, **(config or {})}, **{name: x[i] for name, x in lines.items()}}
        for i in range(RESULTS)
    )


def names(history):
    return [finding.name for finding in findings(history)]


RETURNS_STAY = {
    "episode_return_mean": 20.0,
    "episode_return_min": 9.0,
    "episode_return_max": 40.0,
    "episode_len_mean": 20.0,
}


def test_healthy_run_has_no_findings():
    assert names(run()) == []


def test_one_reward_in_a_long_episode_is_not_small():
    returns = {f"episode_return_{what}": 1.0 for what in ("mean", "max")}
    sparse = run(**returns, episode_return_min=0.0, episode_len_mean=1500.0, reward_max=1.0)
    assert "Rewards too small" not in names(sparse)
    # Results of earlier versions have no rewards.
    old = {"reward_min": np.nan, "reward_max": np.nan}
    assert "Rewards too small" in names(
        run(**returns, episode_return_min=0.0, episode_len_mean=1500.0, **old)
    )


@pytest.mark.parametrize("gamma", [1e-6, 1.0])
def test_every_discount_is_taken(gamma):
    for size in ("XS", "1M"):
        wrong = run(
            config={"gamma": gamma, "model_size": size},
            ACTOR_value_targets_pct95_ema=(0.0, 9000.0),
            WORLD_MODEL_L_continue=3.0,
        )
        assert ("Critic diverges" in names(wrong)) == (gamma < 1)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"world_model_lr": [[0, 1e-4], [100, 1e-5]]}, "world_model_lr (now [[0, 0.0001]"),
        ({"model_size": "1M"}, "lr (now 4e-05)"),
        ({"model_size": "1M", "lr": [[0, 1e-4], [100, 1e-5]]}, "lr (now [[0, 0.0001]"),
    ],
)
def test_learning_rates_are_named_as_they_are_set(config, words):
    for name, changes in {
        "Rewards not predicted": {"reward_signal_predicted": -0.001},
        "World model unstable": {"WORLD_MODEL_L_total": (2.0, 50.0)},
    }.items():
        (found,) = [x for x in findings(run(config=config, **changes)) if x.name == name]
        assert words in found.change


def test_advice_names_options_that_have_an_effect():
    wrong = run(config={"model_size": "1M"}, ACTOR_value_targets_pct95_ema=(0.0, 9000.0))
    (found,) = [x for x in findings(wrong) if x.name == "Critic diverges"]
    assert "Lower lr (now 4e-05)" in found.change


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("Updates that were not finite", {"num_rewinds": 2.0}, "2 updates"),
        ("World model unstable", {"WORLD_MODEL_L_total": (2.0, 50.0)}, "from 8.4 to 50"),
        (
            "Rewards too small",
            {
                "episode_return_mean": 2e-5,
                "episode_return_min": 1e-5,
                "episode_return_max": 3e-5,
                "ACTOR_value_targets_pct95_ema": 1e-5,
                "ACTOR_value_targets_pct5_ema": 0.0,
                "reward_max": 2e-6,
            },
            "at most 2e-06",
        ),
        (
            "Rewards not predicted",
            {"reward_signal_predicted": -0.001},
            "explains 0% of the deviation from the median reward.\n"
            "  Raise world_model_lr (now 0.0001)",
        ),
        (
            "Impossible values",
            {"ACTOR_value_targets_pct5_ema": (0.0, -0.17)},
            "5 % of imagined returns are below -0.17, but no negative reward was ever observed",
        ),
        (
            "Impossible values",
            {"ACTOR_value_targets_pct95_ema": 0.6, "reward_min": -10.0, "reward_max": -1.0},
            "5 % of imagined returns are above 0.6, but no positive reward was ever observed",
        ),
        (
            "Rewards have ended",
            {
                "episode_return_mean": (3.0, 0.0),
                "episode_return_min": 0.0,
                "episode_return_max": (11.0, 0.0),
                "episode_len_mean": 500.0,
            },
            "Initially 3.2 reward per 1,000 env steps, none in the last",
        ),
        (
            "Returns are all equal",
            dict.fromkeys(RETURNS_STAY, 50.0),
            "returned 50,",
        ),
        (
            "Observations never change",
            {"replay_buffer/constant_observations": 1.0},
            "all 50,000 records",
        ),
        (
            "Decoder loss stuck",
            {"WORLD_MODEL_L_decoder": (90.0, 85.0), "WORLD_MODEL_KL": 0.02},
            "stays at 85",
        ),
        ("Critic diverges", {"ACTOR_value_targets_pct95_ema": (0.0, 1e6)}, "Values reach 1e+06"),
        (
            "Actor uniform",
            {**RETURNS_STAY, "ACTOR_action_entropy": (0.6, 0.69)},
            "entropy_scale (now 0.0003)",
        ),
        (
            "Actor collapsed",
            {**RETURNS_STAY, "ACTOR_action_entropy": (0.6, 0.03)},
            "entropy_scale (now 0.0003)",
        ),
        ("Episode ends not predicted", {"WORLD_MODEL_L_continue": 0.2}, "continue loss is 0.2"),
        (
            "Replay too small",
            {"num_records": 700.0, "num_episodes_stored": 10.0, "evicted_lifetime": 1e4},
            "700 records",
        ),
        ("Training ratio not reached", {"actual_training_ratio": 32.0}, "32 instead of 64"),
        ("Environment slower than learning", {"timers/sample": 1.0}, "Sampling took 50000 s"),
        (
            "No reward yet",
            {
                **dict.fromkeys(RETURNS_STAY, 0.0),
                "ACTOR_value_targets_pct95_ema": 0.0,
                "reward_max": 0.0,
                "ACTOR_value_targets_pct5_ema": -0.01,
            },
            "returned 0",
        ),
    ],
)
def test_each_failure_has_one_finding_with_evidence(name, changes, words):
    (finding,) = findings(run(**changes))
    assert finding.name == name
    assert words in str(finding)
    assert len(str(finding).splitlines()) == 3


def drifting(**changes):
    blind = {"reward_signal_predicted": 0.0, BIAS: (0.01, 0.73)}
    return names(run(**{**blind, **RETURNS_STAY, **changes}))


def test_actor_drifts_without_predicted_rewards_or_rising_returns():
    assert drifting() == ["Rewards not predicted", "Actor drifts"]
    assert drifting(episode_return_mean=(20.0, 30.0)) == ["Rewards not predicted"]
    assert drifting(**{BIAS: 0.7}) == ["Rewards not predicted"]
    assert drifting(reward_signal_predicted=0.1) == []


def test_rewards_not_predicted_needs_reward_deviation():
    blind = {"reward_signal_predicted": 0.0}
    assert names(run(reward_signal=0.0, **blind)) == []
    history = run(reward_signal=0.0, **blind)
    steps = history.latest("num_env_steps_sampled_lifetime")
    new = {"WORLD_MODEL_reward_signal": 0.1, "WORLD_MODEL_reward_signal_predicted": 0.0}
    for _ in range(10):
        history.add({"num_env_steps_sampled_lifetime": steps, "learners": {"default_policy": new}})
    assert names(history) == []


def test_possible_or_small_values_are_no_finding():
    for changes in (
        {"ACTOR_value_targets_pct5_ema": -0.05},
        {"ACTOR_value_targets_pct5_ema": -3.0, "reward_min": -0.1},
        {
            "ACTOR_value_targets_pct5_ema": -3.0,
            "ACTOR_value_targets_pct95_ema": -1.0,
            "reward_max": 0.0,
            "reward_min": -1.0,
        },
    ):
        assert names(run(**changes)) == []


def test_rare_rewards_may_be_absent_by_chance():
    returns = {
        "episode_return_mean": (0.3, 0.0),
        "episode_return_min": 0.0,
        "episode_return_max": (1.0, 0.0),
        "episode_len_mean": 500.0,
        "ACTOR_value_targets_pct95_ema": 0.0,
    }
    assert names(run(**returns, reward_max=1.0)) == ["Rewards have ended"]
    # Fewer than five expected.
    assert names(run(**returns, reward_max=4.0)) == []


def test_discount_in_continue_raises_the_base_loss():
    lost = {"WORLD_MODEL_L_continue": 0.021, "num_episodes_stored": 100.0}
    assert names(run(**lost)) == ["Episode ends not predicted"]
    assert names(run(config={"discount_in_continue": True, "gamma": 0.997}, **lost)) == []


def test_continuous_policy_entropy_may_be_near_0():
    collapsed = {**RETURNS_STAY, "ACTOR_action_entropy": (2.6, 0.05)}
    assert names(run(**collapsed, **{BIAS: 0.2})) == []
    assert names(run(**collapsed)) == ["Actor collapsed"]


def test_slow_environment_needs_enough_sampling_calls():
    slow = {"timers/sample": 1.0, "num_env_steps_added_lifetime": 3900.0}
    assert names(run(**slow)) == ["Environment slower than learning"]
    assert names(run(config={"num_envs_per_env_runner": 4}, **slow)) == []


def test_runs_with_few_updates_have_no_findings():
    for changes in (
        {**RETURNS_STAY, "ACTOR_action_entropy": (0.6, 0.69)},
        {"WORLD_MODEL_L_continue": 0.2},
        {"WORLD_MODEL_L_total": (2.0, 50.0)},
        {"reward_signal_predicted": 0.0},
        {"ACTOR_value_targets_pct5_ema": -3.0},
    ):
        assert names(run(updates=300, **changes)) == []
        assert len(names(run(updates=3000, **changes))) == 1


def test_partly_constant_observations_are_no_finding():
    assert names(run(**{"replay_buffer/constant_observations": 0.5})) == []


def test_unset_options_have_the_defaults_of_the_variant():
    history = run(config={"model_size": "12M"}, **RETURNS_STAY, ACTOR_action_entropy=(0.6, 0.69))
    (finding,) = findings(history)
    assert "(now 0.0003)" in finding.change


def test_missing_metrics_are_no_finding():
    assert names(History()) == []
    assert names(History([{"num_grad_updates_lifetime": 5000}])) == []


def test_a_few_equal_returns_and_updates_without_sampling_say_nothing():
    equal = dict.fromkeys(RETURNS_STAY, 50.0)
    assert names(run(**equal)) == ["Returns are all equal"]
    few = run(**equal)
    few.add({"env_runners": {"num_episodes_lifetime": 4}, "num_env_steps_sampled_lifetime": 60_000})
    assert names(few) == []
    pretraining = History(
        {"config": OPTIONS, "actual_training_ratio": 0.0, "num_grad_updates_lifetime": 500.0 + i}
        for i in range(40)
    )
    assert names(pretraining) == []
