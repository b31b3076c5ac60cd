import pytest

from rllib_cli.return_statistics import ReturnStatistics


def test_statistics_by_hand():
    found = ReturnStatistics.of([4.0, 1.0, 3.0, 2.0])
    assert found.mean == 2.5
    # Squares of 1.5, 0.5, 0.5, 1.5 are 5 together, by n - 1 = 3.
    assert found.deviation == pytest.approx((5 / 3) ** 0.5)
    # Three degrees of freedom: t = 3.182446 for 95 %.
    half = 3.182446 * (5 / 3) ** 0.5 / 2
    assert found.interval == pytest.approx((2.5 - half, 2.5 + half), rel=1e-6)
    assert found.quantiles == {"min": 1, "25 %": 1.75, "median": 2.5, "75 %": 3.25, "max": 4}


def test_the_same_return_each_time():
    found = ReturnStatistics.of([500.0] * 3)
    assert (found.deviation, found.interval) == (0.0, (500.0, 500.0))


def test_one_episode_has_neither_deviation_nor_interval():
    told = ReturnStatistics.of([7.0]).as_json()
    assert told["return_mean"] == told["return_quantiles"]["median"] == 7.0
    assert told["return_std"] is told["return_mean_interval"] is None
