"""Returns out of results."""

import math

from written_run import result

from rllib_dreamerv3.reports.curve import Curve
from rllib_dreamerv3.reports.history import History

RESULTS = [result(100, 5.0), result(200, 6.0, evaluation=9.0), result(300, 7.0)]


def added(results):
    curve = Curve("g", "e")
    for each in results:
        curve.add(each)
    return curve


def test_results_as_they_come_and_as_they_were_written_make_one_curve():
    curve = added(RESULTS)
    assert curve == Curve.of(History(RESULTS), "g", "e")
    assert curve.training.steps == [100, 200, 300]
    assert curve.training.seconds == [10, 20, 30]
    assert curve.training.values == [5, 6, 7]
    assert (curve.evaluation.steps, curve.evaluation.values) == ([200], [9])


def test_what_was_lost_with_a_process_is_replaced():
    curve = added([*RESULTS, result(150, 1.0)])
    assert curve.training.steps == [100, 150]
    assert not curve.evaluation


def test_results_without_a_return_are_left_out():
    assert not added([result(100, math.nan), {"training_iteration": 1}]).training


def test_evaluations_that_results_repeat_are_one_point():
    results = [
        result(100, 5.0, evaluation=9.0, evaluated_at=100),
        result(200, 5.0, evaluation=9.0, evaluated_at=100),
        # The same return again, of other episodes.
        result(300, 5.0, evaluation=9.0, evaluated_at=300),
    ]
    curve = added(results)
    assert (curve.evaluation.steps, curve.evaluation.values) == ([100, 300], [9, 9])
    assert curve == Curve.of(History(results), "g", "e")
