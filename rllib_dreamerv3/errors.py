"""Errors for people: what was wrong, where, and what to do about it."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """An option is unknown, out of range, or contradicts another one."""


class SpaceError(ValueError):
    """A space, or a part of one, that DreamerV3 cannot learn from."""


class EnvironmentDataError(ValueError):
    """An environment returned something that would poison the replay buffer (NaN, infinity)."""


class CheckpointError(ValueError):
    """A directory that is not a checkpoint, or not one that can be restored here."""


class TrainingDivergedError(RuntimeError):
    """A loss or a gradient is no longer finite."""


class ResourceError(RuntimeError):
    """More CPUs or GPUs are asked for than the cluster has."""


def unknown_name(what: str, name: str, valid: Iterable[str]) -> ConfigError:
    """Builds the error for a name that does not exist, naming the nearest that does.

    Args:
        what: What kind of thing the name stands for, e.g. ``"option"``.
        name: The name that was given.
        valid: All names that exist.

    Returns:
        The error, ready to be raised.
    """
    names = sorted(valid)
    lower = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"Did you mean {lower[near[0]]!r}?" if near else f"Valid: {', '.join(names)}."
    return ConfigError(f"Unknown {what} {name!r}. {hint}")
