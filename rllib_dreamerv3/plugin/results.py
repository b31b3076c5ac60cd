"""Results of iterations in which nothing was sampled, or nothing was learned."""

import math
from typing import Any

from ray.rllib.utils.metrics import (
    NUM_AGENT_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_TRAINED,
    NUM_EPISODES,
    NUM_MODULE_STEPS_SAMPLED,
    NUM_MODULE_STEPS_TRAINED,
)

_SUMS = {
    NUM_AGENT_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_TRAINED,
    NUM_EPISODES,
    NUM_MODULE_STEPS_SAMPLED,
    NUM_MODULE_STEPS_TRAINED,
}


def without_gaps(results: dict[str, Any]) -> dict[str, Any]:
    """Says 0 where nothing was counted, and nothing where there is no value.

    RLlib says NaN to both. Its own algorithms sample and learn in every iteration; one here may be
    too short for that.

    Args:
        results: Of env runners or learners.

    Returns:
        The same without NaN.
    """
    return _without_gaps(results, is_sum=False)


def _without_gaps(results: dict[str, Any], *, is_sum: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in results.items():
        counts = is_sum or name in _SUMS
        if isinstance(value, dict):
            kept[name] = _without_gaps(value, is_sum=counts)
        elif not _is_nan(value):
            kept[name] = value
        elif counts:
            kept[name] = 0
    return kept


def _is_nan(value: Any) -> bool:
    try:
        return math.isnan(value)
    except TypeError:
        return False
