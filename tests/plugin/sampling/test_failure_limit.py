"""When failures are too many."""

import pytest

from rllib_dreamerv3.plugin.sampling.failure_limit import ConsecutiveFailures


def test_the_run_ends_with_one_more_than_is_tolerated():
    failures = ConsecutiveFailures(2)
    assert [failures.failed() for _ in range(3)] == [False, False, True]
    assert "3 failures in a row" in str(failures)
    assert "num_consecutive_env_runner_failures_tolerance=2" in str(failures)


@pytest.mark.parametrize(
    ("env_steps", "episodes", "forgiven"),
    [(19, 0, False), (19, 1, True), (999, 0, False), (1000, 0, True)],
)
def test_an_episode_or_a_thousand_steps_make_up_for_failures(env_steps, episodes, forgiven):
    failures = ConsecutiveFailures(1)
    failures.failed()
    failures.succeeded(env_steps, episodes)
    assert failures.failed() is not forgiven


def test_steps_between_two_failures_do_not_add_up():
    failures = ConsecutiveFailures(100)
    for _ in range(5):
        failures.failed()
        failures.succeeded(600, 0)
    assert failures.count == 5
