"""Learning rates: a number, or a schedule over env steps."""

import math
from numbers import Real
from typing import Any

from rllib_dreamerv3.errors import ConfigError

LearningRate = float | list[list[float]]
"""A number, or a schedule ``[[env step, rate], ...]``, linear in between, as RLlib has them."""


def first_rate(rate: LearningRate) -> float:
    """The learning rate at env step 0."""
    return rate[0][1] if isinstance(rate, list | tuple) else rate


def check_learning_rate(name: str, rate: Any) -> None:
    """Check a number or a schedule.

    Args:
        name: The option that it is given for.
        rate: What was given.

    Raises:
        ConfigError: If it is neither; or for the first point of a schedule that is wrong.
    """
    if not isinstance(rate, list | tuple):
        if not _is_number(rate) or rate <= 0:
            raise ConfigError(
                f"{name} must be a number above 0 or a schedule [[env step, rate], ...], not "
                f"{rate!r}."
            )
        return
    if len(rate) < 2:
        raise ConfigError(
            f"{name}: a schedule has at least two points [env step, rate]; {rate!r} has "
            f"{len(rate)}. For one rate throughout give the number alone."
        )
    last = None
    for i, point in enumerate(rate):
        where = f"{name}: point {i + 1} of the schedule"
        if not isinstance(point, list | tuple) or len(point) != 2:
            raise ConfigError(f"{where} must be [env step, rate], not {point!r}.")
        step, value = point
        if not _is_number(step) or step != int(step):
            raise ConfigError(f"{where} has env step {step!r}, which is no whole number.")
        if last is None and step != 0:
            raise ConfigError(f"{where} has env step {step}; the first one must be at 0.")
        if last is not None and step <= last:
            raise ConfigError(
                f"{where} has env step {step}, which does not come after {last}; points are in "
                "the order of their env steps."
            )
        if not _is_number(value) or value < 0:
            raise ConfigError(f"{where} has rate {value!r}; a rate is a number of at least 0.")
        last = step
    if all(value == 0 for _, value in rate):
        raise ConfigError(f"{name}: all rates of the schedule are 0; nothing would be learned.")


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
