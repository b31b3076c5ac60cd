"""How replay draws sequences: one way for all of them, or fractions of several."""

import difflib
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, get_args

from rllib_dreamerv3.errors import ConfigError

_Way = Literal["uniform", "curious", "recent", "recorded", "sampled"]
ReplaySampling = _Way | dict[_Way, float]
"""A way of drawing, or way -> fraction of the drawn sequences."""

WAYS: tuple[str, ...] = get_args(_Way)
# With fewer digits, thirds could not be written.
_TOLERANCE = 1e-3
# Names of the 2025 code's replay.fracs, and others that are in use.
_ALSO_KNOWN_AS = {
    "recency": "recent",
    "priority": "curious",
    "prioritized": "curious",
    "curiosity": "curious",
    "offline": "recorded",
    "online": "sampled",
}


def fractions_of(sampling: str | Mapping[str, float]) -> dict[str, float]:
    """Return the fraction of each way, for a value that :func:`check_replay_sampling` accepts."""
    if isinstance(sampling, str):
        return {sampling: 1.0}
    total = sum(sampling.values())
    return {way: fraction / total for way, fraction in sampling.items()}


def check_replay_sampling(name: str, value: Any) -> None:
    """Check a way or fractions.

    Args:
        name: The option that it is given for.
        value: What was given.

    Raises:
        ConfigError: If it is neither; names the nearest valid value.
    """
    ways = " or ".join(map(repr, WAYS))
    if not isinstance(value, Mapping):
        if not (isinstance(value, str) and value in WAYS):
            raise ConfigError(
                f"{name} must be {ways}, or fractions such as {{'uniform': 0.5, 'curious': 0.5}}, "
                f"not {value!r}.{_suggestion(value)}"
            )
        return
    if not value:
        raise ConfigError(f"{name} has no fractions. Name at least one of {ways}.")
    for way, fraction in value.items():
        if way not in WAYS:
            raise ConfigError(f"{name} has fractions of {ways}, not of {way!r}.{_suggestion(way)}")
        if not _is_number(fraction) or fraction < 0:
            raise ConfigError(
                f"{name}: the fraction of {way!r} must be a number above 0, not {fraction!r}."
            )
        if fraction == 0:
            raise ConfigError(
                f"{name}: the fraction of {way!r} is 0, so it would have no effect. Leave it out."
            )
    total = sum(value.values())
    if abs(total - 1) > _TOLERANCE:
        same = {way: round(fraction, 4) for way, fraction in fractions_of(value).items()}
        raise ConfigError(
            f"{name}: the fractions must sum to 1, not {total:g}. In the same proportions: {same}."
        )


def _suggestion(given: Any) -> str:
    word = str(given).lower()
    near = difflib.get_close_matches(word, [*WAYS, *_ALSO_KNOWN_AS], n=1)
    return f" Did you mean {_ALSO_KNOWN_AS.get(near[0], near[0])!r}?" if near else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
