"""``counters.json``: what a run has counted, outside of its networks and replay."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rllib_dreamerv3.checkpoints.manifest import damaged
from rllib_dreamerv3.checkpoints.untrusted import count, number, read_json
from rllib_dreamerv3.errors import CheckpointError

COUNTERS_FILE = "counters.json"
COUNTERS_DIRECTORY = "dreamerv3"

_COUNTS = ("records", "env_steps", "pending_updates", "generation")


def read(directory: Path) -> dict[str, Any]:
    """Read the counters of a component's directory.

    Raises:
        CheckpointError: If the file is missing or damaged, or a counter has another type or an
            impossible value.
    """
    path = directory / COUNTERS_FILE
    try:
        counters: dict[str, Any] = read_json(path)
        _check(counters)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing. Take an earlier checkpoint.") from error
    except OSError as error:
        raise damaged(path, f"it cannot be read ({error.strerror})") from error
    except KeyError as error:
        raise damaged(path, f"the entry {error} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(path, str(error)) from error
    return counters


def _check(counters: Mapping[str, Any]) -> None:
    for name in _COUNTS:
        count(counters[name], name)
    # Older checkpoints lack both.
    count(counters.get("pretraining_updates", 0), "pretraining_updates")
    if number(counters.get("time_total_s", 0.0), "time_total_s") < 0:
        raise ValueError("time_total_s is negative")
    schedule = counters["update_schedule"]
    count(schedule["updates"], "update_schedule/updates")
    if schedule["first_record"] is not None:
        count(schedule["first_record"], "update_schedule/first_record")
    if number(schedule["settled"], "update_schedule/settled") < 0:
        raise ValueError("update_schedule/settled is negative")
    for episode in counters["episodes"]:
        # Older checkpoints have returns and lengths alone.
        ret, length, *rest = episode
        number(ret, "the return of an episode")
        count(length, "the length of an episode")
        seconds, numbers = rest or (0.0, {})
        number(seconds, "the seconds of an episode")
        for name, values in numbers.items():
            last, total = values
            number(last, f"the last {name} of an episode")
            number(total, f"the sum of {name} of an episode")
