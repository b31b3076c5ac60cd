"""Stop criteria: names of results, old and new, and the numbers at which training ends."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

from rllib_cli.errors import InputError, unknown

COUNTERS = (
    "training_iteration",
    "time_total_s",
    "num_env_steps_sampled_lifetime",
    "num_grad_updates_lifetime",
    "env_runners/num_env_steps_sampled_lifetime",
    "env_runners/num_episodes_lifetime",
)
"""Results that only ever grow, so that the time until they reach a number can be told."""

_EPISODES = tuple(
    f"episode_{what}_{how}" for what in ("return", "len") for how in ("mean", "min", "max")
)

KNOWN = (
    *COUNTERS,
    "actual_training_ratio",
    *(f"env_runners/{name}" for name in _EPISODES),
    *(f"evaluation/env_runners/{name}" for name in _EPISODES),
    "replay_buffer/num_env_steps_stored",
    *(
        f"learners/default_policy/{name}"
        for name in ("WORLD_MODEL_L_total", "ACTOR_L_total", "CRITIC_L_total")
    ),
)
"""The results that DreamerV3 reports and that make sense as a criterion."""

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
"""Names of RLlib's old API stack, and what the same number is called now."""

# Below these, a user's callbacks may log results of their own.
_OPEN_GROUPS = ("env_runners/", "evaluation/", "learners/")


def current_name(key: str, notes: list[str]) -> str:
    """Finds the result that a name of the old or the new API stack means.

    Args:
        key: The name, with ``/`` between the levels.
        notes: Takes one line for each name that was translated or cannot be checked.

    Returns:
        The name by which results carry it.

    Raises:
        InputError: If there is no such result; names the nearest.
    """
    if key in RENAMED:
        notes.append(f"{key} is called {RENAMED[key]} now; using that.")
        return RENAMED[key]
    if key in KNOWN:
        return key
    names = [*KNOWN, *RENAMED]
    if key.startswith(_OPEN_GROUPS) and not difflib.get_close_matches(key, names, cutoff=0.85):
        notes.append(f"{key} is no result of DreamerV3's own: a callback has to report it.")
        return key
    raise unknown("result", key, names)


def criteria(stop: Mapping[str, Any], notes: list[str]) -> dict[str, float]:
    """Checks stop criteria and brings them into the form that Tune compares with results.

    Args:
        stop: The numbers by name; nested mappings are the same as ``/`` in names.
        notes: As for :func:`current_name`.

    Returns:
        The number for each result; training ends as soon as one is reached.

    Raises:
        InputError: If a name is unknown, or a value is no number.
    """
    found: dict[str, float] = {}
    for key, value in _flat(stop).items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or math.isnan(number):
            raise InputError(f"Stop criterion {key!r} has to be a number, not {value!r}.")
        found[current_name(key, notes)] = int(number) if number.is_integer() else number
    return found


def in_words(stop: Mapping[str, float]) -> str:
    """``{"time_total_s": 60}`` becomes ``until time_total_s >= 60``."""
    if not stop:
        return "until Ctrl-C (no stop criterion)"
    return "until " + " or ".join(f"{key} >= {value:,}" for key, value in stop.items())


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}/"))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
