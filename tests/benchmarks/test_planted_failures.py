"""Findings of the doctor on recorded runs: one of each failure, and healthy ones."""

import json
from pathlib import Path

import planted_failures
import pytest

from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import History

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "doctor"
NAMED = {
    "reward_scaled_by_1e-6": ["Rewards too small"],
    "observation_frozen": ["Observations never change"],
    "learning_rates_times_100": ["Actor collapsed"],
    "replay_of_300": ["Replay too small"],
    "entropy_times_100": ["Actor uniform"],
    "reward_constant": ["Returns are all equal"],
    "finger_spin_at_4e-5": ["Rewards not predicted", "Actor drifts"],
    "finger_spin_micro_at_4e-5": ["Rewards not predicted", "Actor drifts", "Rewards have ended"],
    "finger_spin_micro_at_4e-5_seed_1": ["Rewards not predicted", "Impossible values"],
}
HEALTHY = {
    "healthy_cartpole": 100.0,
    "healthy_frozenlake": 0.9,
    "healthy_catch": 0.9,
    "healthy_finger_spin": 60.0,
}


def rows(name):
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def test_all_runs_are_looked_at():
    kept = {path.stem for path in RESULTS.glob("*.jsonl")}
    assert kept == set(planted_failures.RUNS) == {*NAMED, *HEALTHY}


@pytest.mark.parametrize(("name", "named"), NAMED.items())
def test_a_failure_is_named(name, named):
    assert {*named} <= {found.name for found in findings(History(rows(name)))}


@pytest.mark.parametrize("name", [name for name in NAMED if name.startswith("finger_spin")])
def test_a_continue_loss_that_falls_slowly_is_no_finding(name):
    """Its episodes have no end but the time limit."""
    history = History()
    for result in rows(name):
        history.add(result)
        assert "Episode ends not predicted" not in {found.name for found in findings(history)}


@pytest.mark.parametrize(("name", "learned"), HEALTHY.items())
def test_a_healthy_run_has_no_findings_at_any_time(name, learned):
    results = rows(name)
    history = History()
    for result in results:
        history.add(result)
        assert not list(findings(history))
    returns = history.values("env_runners/episode_return_mean")
    assert max(returns) >= learned > returns[0]
