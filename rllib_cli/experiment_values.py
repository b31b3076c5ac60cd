"""What the keys of an experiment may hold; each error names the key and says what it may be."""

import math
from collections.abc import Mapping
from typing import Any

from rllib_cli import stop_criteria
from rllib_cli.errors import InputError, unknown

_CHECKPOINT_KEYS = {
    "checkpoint_every_min",
    "checkpoint_frequency",
    "checkpoint_at_end",
    "num_to_keep",
    "checkpoint_score_attribute",
    "checkpoint_score_order",
}


def mapping(value: Any, key: str) -> dict[str, Any]:
    """A mapping; where a file leaves the value out it is empty."""
    if value is not None and not isinstance(value, dict):
        raise _wrong(key, "a mapping", value)
    return {str(name): x for name, x in (value or {}).items()}


def text(value: Any, key: str, what: str) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise _wrong(key, what, value)
    return value


def whole_number(value: Any, key: str, least: int, none: str = "") -> Any:
    """A whole number; also None if ``none`` says what that stands for.

    Args:
        value: As the file holds it; a float without a fraction is a whole number.
        key: What it is called.
        least: The smallest there may be.
        none: What leaving it empty means; without this it may not be empty.

    Returns:
        The number, or None.

    Raises:
        InputError: If it is anything else.
    """
    if value is None and none:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        empty = f", or empty for {none}" if none else ""
        raise _wrong(key, f"a whole number of at least {least}{empty}", value)
    return value


def seconds(value: Any, key: str) -> float | None:
    """A time above 0, or None for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _wrong(key, "a number of seconds above 0, or empty for no limit", value)
    return value


def checkpoint_settings(settings: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Checks fields of Tune's ``CheckpointConfig``, and the minutes between checkpoints.

    Args:
        settings: As a file or the command line holds them.
        notes: As for :func:`rllib_cli.stop_criteria.current_name`.

    Returns:
        The settings as Tune takes them.

    Raises:
        InputError: If one is unknown or cannot have its value.
    """
    for key in settings:
        if key not in _CHECKPOINT_KEYS:
            raise unknown("key in checkpoint_config:", key, _CHECKPOINT_KEYS)
    checked = dict(settings)
    every = checked.get("checkpoint_every_min", 0)
    if isinstance(every, bool) or not isinstance(every, int | float) or not 0 <= every < math.inf:
        raise _wrong("checkpoint_every_min", "a number of minutes", every)
    for key, least, none in (
        ("checkpoint_frequency", 0, ""),
        ("num_to_keep", 1, "all of them"),
    ):
        if key in checked:
            checked[key] = whole_number(checked[key], key, least, none)
    if not isinstance(checked.get("checkpoint_at_end", True), bool):
        raise _wrong("checkpoint_at_end", "true or false", checked["checkpoint_at_end"])
    if checked.get("checkpoint_score_order", "max") not in ("max", "min"):
        raise _wrong("checkpoint_score_order", "'max' or 'min'", checked["checkpoint_score_order"])
    score = checked.get("checkpoint_score_attribute")
    if score is not None:
        what = "the name of a result, such as env_runners/episode_return_mean"
        score = text(score, "checkpoint_score_attribute", what)
        # RLlib's old way to say "the smaller the better".
        if score.startswith("min-"):
            checked["checkpoint_score_order"] = "min"
        checked["checkpoint_score_attribute"] = stop_criteria.current_name(
            score.removeprefix("min-"), notes
        )
    return checked


def environment(value: Any) -> Any:
    """The name of an environment, a search over several, or None where there is none."""
    if value is None or isinstance(value, dict):
        return value
    return text(value, "env", "the name of an environment")


def check_searches(value: Any, path: str) -> None:
    """Checks every ``{grid_search: [...]}`` below a key.

    Raises:
        InputError: If one holds no list, or an empty one, of which Tune would make no trial.
    """
    if isinstance(value, Mapping):
        if "grid_search" in value:
            points = value["grid_search"]
            if not isinstance(points, list) or not points:
                raise _wrong(f"{path}: grid_search", "a list of at least one value", points)
        for key, inner in value.items():
            check_searches(inner, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            check_searches(inner, f"{path}/{number}")


def _wrong(key: str, may_be: str, value: Any) -> InputError:
    given = "empty" if value is None else repr(value)
    return InputError(f"{key} has to be {may_be}, not {given}.")
