import pytest
from ray.rllib.utils.metrics import SAMPLE_TIMER, TIME_BETWEEN_SAMPLING

from rllib_dreamerv3.plugin import sampling_totals as tally_module
from rllib_dreamerv3.plugin.sampling_totals import Tally


def test_sums_up_calls():
    tally = Tally()
    assert (tally.calls, tally.env_steps, tally.episodes) == (0, 0, 0)
    for env_steps, episodes in ((3, 0), (4, 2)):
        tally.begin()
        tally.end(env_steps, episodes)
    assert (tally.calls, tally.env_steps, tally.episodes) == (2, 7, 2)


def test_tells_time_inside_of_calls_from_time_between_them(monkeypatch):
    clock = iter([0.0, 1.0, 4.0, 6.0, 7.0])  # created, then two calls of 3 s and 1 s
    monkeypatch.setattr(tally_module.time, "perf_counter", lambda: next(clock))
    tally = Tally()
    for _ in range(2):
        tally.begin()
        tally.end(1, 0)
    assert tally.mean_seconds() == pytest.approx({SAMPLE_TIMER: 2.0, TIME_BETWEEN_SAMPLING: 1.5})
