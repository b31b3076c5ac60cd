import pytest
from ray.rllib.utils.metrics import SAMPLE_TIMER, TIME_BETWEEN_SAMPLING

from rllib_dreamerv3.plugin.sampling import streams as sampling_totals
from rllib_dreamerv3.plugin.sampling.streams import SamplingTotals


def test_sums_up_calls():
    totals = SamplingTotals()
    assert (totals.calls, totals.env_steps, totals.episodes) == (0, 0, 0)
    for env_steps, episodes in ((3, 0), (4, 2)):
        totals.begin_call()
        totals.end_call(env_steps, episodes)
    assert (totals.calls, totals.env_steps, totals.episodes) == (2, 7, 2)


def test_separates_time_inside_calls_from_time_between_them(monkeypatch):
    clock = iter([0.0, 1.0, 4.0, 6.0, 7.0])  # created, then two calls of 3 s and 1 s
    monkeypatch.setattr(sampling_totals.time, "perf_counter", lambda: next(clock))
    totals = SamplingTotals()
    for _ in range(2):
        totals.begin_call()
        totals.end_call(1, 0)
    assert totals.mean_seconds() == pytest.approx({SAMPLE_TIMER: 2.0, TIME_BETWEEN_SAMPLING: 1.5})
