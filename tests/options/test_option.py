"""Rows of the table: defaults, checks, and what errors say."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.learning_rate import LearningRate
from rllib_dreamerv3.options.option import option, options_of
from rllib_dreamerv3.options.option_checks import SMALLEST_RECORD_BYTES, check_options, resolve
from rllib_dreamerv3.options.table import OPTIONS, LearningOptions


@dataclass(frozen=True, kw_only=True)
class Options:
    """Some of each kind."""

    switch: bool = option(False, "A switch.", v2=True)
    count: int = option(3, "A count.", least=1, most=5, unit="steps")
    share: float = option(0.5, "A share.", least=0, most=1)
    weight: float = option(1.0, "A weight.", above=0)
    size: int | None = option(None, "A size.", least=1)
    kind: Literal["round", "square"] = option("round", "A kind.")
    how: Literal["auto", True, False] = option("auto", "How.")
    place: Literal[0, 1] = option(0, "A place.")
    rate: LearningRate = option(1e-3, "A rate.", only_with=("kind", "round"))
    edge: float = option(2.0, "An edge.", only_with=("kind", "square"))
    others: dict[str, Any] = option({}, "Others.")


ROWS = options_of(Options)


def test_rows_are_fields_with_their_defaults():
    assert list(ROWS) == list(vars(Options()))
    assert Options() == Options(**{name: row.v1 for name, row in ROWS.items()})
    assert [name for name, row in ROWS.items() if row.optional] == ["size"]
    assert [name for name, row in ROWS.items() if row.is_late] == ["switch", "edge"]
    assert ROWS["switch"].config_default is None
    assert ROWS["count"].config_default == 3
    # It has a meaning in a new config, so that users can reckon with it.
    assert ROWS["rate"].config_default == 1e-3
    assert (ROWS["switch"].default("v1"), ROWS["switch"].default("v2")) == (False, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("switch", True),
        ("count", 1),
        ("count", 5),
        ("count", np.int64(2)),
        ("share", 0),
        ("share", 1.0),
        ("share", np.float32(0.5)),
        ("weight", 1e-9),
        ("size", None),
        ("size", 1),
        ("kind", "square"),
        ("how", "auto"),
        ("how", False),
        ("place", 1),
        ("rate", 1),
        ("rate", [[0, 1e-3], [10, 0.0]]),
        ("rate", [(0, 1e-3), (1e6, 1e-4)]),
        ("others", {"a": 1}),
    ],
)
def test_values_that_an_option_can_have(name, value):
    ROWS[name].check(value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("switch", 1, "switch must be true or false, not 1"),
        ("switch", None, "switch must be true or false, not None"),
        ("count", 0, "count must be a whole number from 1 to 5, not 0"),
        ("count", 6, "from 1 to 5, not 6"),
        ("count", 2.0, "a whole number .*not 2.0"),
        ("count", True, "a whole number .*not True"),
        ("count", "2", "not '2'"),
        ("share", 1.01, "share must be a number from 0 to 1, not 1.01"),
        ("share", True, "not True"),
        ("weight", 0, "weight must be a number above 0, not 0"),
        ("weight", float("inf"), "not inf"),
        ("weight", float("nan"), "not nan"),
        ("size", 0, "size must be a whole number of at least 1 or None, not 0"),
        ("kind", "Sq", "kind must be 'round' or 'square', not 'Sq'. Did you mean 'square'?"),
        ("kind", "squre", "kind must be 'round' or 'square', not 'squre'. Did you mean 'square'?"),
        ("kind", None, "'round' or 'square', not None"),
        ("how", 1, "how must be 'auto' or true or false, not 1"),
        ("how", "yes", "not 'yes'"),
        ("place", True, "place must be 0 or 1, not True"),
        ("place", 2, "not 2"),
        ("others", [], "others must be a mapping"),
    ],
)
def test_values_that_it_cannot_have(name, value, words):
    with pytest.raises(ConfigError, match=words):
        ROWS[name].check(value)


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0, "rate must be a number above 0 or a schedule"),
        (-1e-4, "not -0.0001"),
        (True, "not True"),
        ("fast", "not 'fast'"),
        (None, "not None"),
        (float("inf"), "not inf"),
        ([], "at least two points"),
        ([[0, 1e-3]], "at least two points .*For one rate"),
        ([0, 1e-3], "point 1 of the schedule must be"),
        ([[0, 1e-3], [10]], "point 2 of the schedule must be .*not .10."),
        ([[1, 1e-3], [10, 1e-4]], "env step 1; the first one must be at 0"),
        ([[0, 1e-3], [10, 1e-4], [10, 1e-5]], "point 3 .* does not come after 10"),
        ([[0, 1e-3], [10.5, 1e-4]], "no whole number"),
        ([["0", 1e-3], [10, 1e-4]], "no whole number"),
        ([[0, 1e-3], [10, -1e-4]], "point 2 of the schedule has rate -0.0001"),
        ([[0, 1e-3], [10, float("inf")]], "rate inf"),
        ([[0, 1e-3], [10, "small"]], "rate 'small'"),
        ([[0, 1e-3], [float("inf"), 1e-4]], "no whole number"),
        ([[0, 0], [10, 0]], "nothing would be learned"),
    ],
)
def test_learning_rates_that_cannot_be(rate, words):
    with pytest.raises(ConfigError, match=f"rate.*{words}|{words}"):
        ROWS["rate"].check(rate)


def test_late_options_are_resolved_by_the_variant():
    given = {"switch": None, "count": 2}
    assert resolve(ROWS, given, "v1") == vars(Options(count=2))
    assert resolve(ROWS, given, "v2") == vars(Options(count=2, switch=True))


def test_smallest_record_is_not_larger_than_any():
    """Reward and three flags, an image of one pixel, one choice of two."""
    assert SMALLEST_RECORD_BYTES == 4 + 3 * 1 + 1 + 4


def test_options_of_a_variant():
    assert LearningOptions() == LearningOptions.of_variant("v1")
    changed = LearningOptions.of_variant("v2", free_nats=2.0)
    assert (changed.free_nats, changed.dynamics_loss_scale) == (2.0, 1.0)


def test_everything_at_its_default_is_right_for_every_size():
    check_options({})
    check_options({name: row.config_default for name, row in OPTIONS.items()})
    for size in ("nano", "XL", "1M", "400M"):
        check_options({"model_size": size})
        check_options({"model_size": size, "variant": "v2"})
