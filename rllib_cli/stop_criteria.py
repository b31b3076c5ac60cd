"""Stop criteria: result names, current and former, and the values at which training ends."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

from rllib_cli.errors import InputError, unknown
from rllib_dreamerv3.reports.history import flat
from rllib_dreamerv3.reports.losses import LOSSES

COUNTERS = (
    "training_iteration",
    "time_total_s",
    "num_env_steps_sampled_lifetime",
    "num_grad_updates_lifetime",
    "env_runners/num_env_steps_sampled_lifetime",
    "env_runners/num_episodes_lifetime",
)
"""Results that only grow, for which the remaining time can be estimated."""

ENV_STEP_COUNTERS = ("num_env_steps_sampled_lifetime", "env_runners/num_env_steps_sampled_lifetime")
"""Both names of the env steps of a run."""


def needs_sampling(name: str) -> bool:
    """Whether only sampling changes a result."""
    return name.startswith(("env_runners/", "num_env_steps_sampled"))


_EPISODES = tuple(
    f"episode_{what}_{how}" for what in ("return", "len") for how in ("mean", "min", "max")
)

_REPLAY = ("num_records", "num_windows", "num_bytes", "num_env_steps_stored")

KNOWN = (
    *COUNTERS,
    "actual_training_ratio",
    *(f"env_runners/{name}" for name in (*_EPISODES, "episode_return_last")),
    *(f"evaluation/env_runners/{name}" for name in _EPISODES),
    *(f"replay_buffer/{name}" for name in _REPLAY),
    *(f"timers/{name}" for name in ("sample", "learn")),
    *("num_updates_ignored", "num_rewinds", "num_learner_rebuilds"),
    *(loss.key for loss in LOSSES),
)
"""DreamerV3's results that can be stop criteria."""

RENAMED = {
    "episode_reward_mean": "env_runners/episode_return_mean",
    "episode_reward_min": "env_runners/episode_return_min",
    "episode_reward_max": "env_runners/episode_return_max",
    "episode_return_mean": "env_runners/episode_return_mean",
    "episode_len_mean": "env_runners/episode_len_mean",
    "env_runners/episode_reward_mean": "env_runners/episode_return_mean",
    "sampler_results/episode_reward_mean": "env_runners/episode_return_mean",
    "evaluation/episode_reward_mean": "evaluation/env_runners/episode_return_mean",
    "evaluation/env_runners/episode_reward_mean": "evaluation/env_runners/episode_return_mean",
    "episodes_total": "env_runners/num_episodes_lifetime",
    "timesteps_total": "num_env_steps_sampled_lifetime",
    "num_env_steps_sampled": "num_env_steps_sampled_lifetime",
}
"""Result names of RLlib's old API stack -> current names."""

# Names that are more alike than this (0 to 1) are misspelled. In the groups where callbacks usually
# log, names share their beginnings.
_ALIKE, _ALIKE_IN_GROUPS = 0.7, 0.85
_GROUPS = ("env_runners/", "evaluation/", "learners/")
# Results of an environment's `info`.
_INFO_GROUPS = ("env_runners/info/", "evaluation/env_runners/info/")


def current_name(key: str, notes: list[str]) -> str:
    """Translate a result name of the old or the new API stack.

    Args:
        key: The name, with ``/`` between levels.
        notes: Receives a message if the name was translated or cannot be checked.

    Returns:
        The current name.

    Raises:
        InputError: If it looks like a misspelled name; names the nearest.
    """
    if key in RENAMED:
        notes.append(f"{key} is now called {RENAMED[key]}; using that.")
        return RENAMED[key]
    if key in KNOWN or key.startswith(_INFO_GROUPS):
        return key
    names = [*KNOWN, *RENAMED]
    alike = _ALIKE_IN_GROUPS if key.startswith(_GROUPS) else _ALIKE
    if difflib.get_close_matches(key, names, cutoff=alike):
        raise unknown("result", key, names)
    # Callbacks may add results anywhere.
    notes.append(f"{key} is not one of DreamerV3's own results: a callback must report it.")
    return key


def criteria(stop: Mapping[str, Any], notes: list[str]) -> dict[str, float]:
    """Check stop criteria and convert them to the form that Tune compares with results.

    Args:
        stop: Result name -> value; nested mappings equal ``/`` in names.
        notes: See :func:`current_name`.

    Returns:
        Current result name -> value; training ends as soon as one is reached.

    Raises:
        InputError: If a name is misspelled, or a value is not a number.
    """
    found: dict[str, float] = {}
    for key, value in flat(stop):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or math.isnan(number):
            raise InputError(f"Stop criterion {key!r} must be a number, not {value!r}.")
        found[current_name(key, notes)] = int(number) if number.is_integer() else number
    return found


def describe(stop: Mapping[str, float]) -> str:
    """``{"time_total_s": 60}`` becomes ``until time_total_s >= 60``."""
    if not stop:
        return "until Ctrl-C (no stop criterion)"
    return "until " + " or ".join(f"{key} >= {value:,}" for key, value in stop.items())
