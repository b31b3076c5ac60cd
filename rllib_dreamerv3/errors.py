"""Errors for people: what was wrong, where, and what to do about it."""

import difflib
from collections.abc import Iterable

# More than these nobody reads.
_MOST_NAMES = 16


class ConfigError(ValueError):
    """An option is unknown, out of range, or contradicts another one."""


class SpaceError(ValueError):
    """A space, or a part of one, that DreamerV3 cannot learn from."""


class EnvironmentDataError(ValueError):
    """An environment returned something that would poison the replay buffer (NaN, infinity)."""


class EnvironmentFailedError(RuntimeError):
    """An environment, or the process that steps it, fails again and again."""


class CheckpointError(ValueError):
    """A directory that is not a checkpoint, or not one that can be restored here."""


class ExportError(ValueError):
    """A policy that cannot be exported in a format, or not with what is installed."""


class TrainingDivergedError(RuntimeError):
    """A loss or a gradient is no longer finite."""


class LearnerFailedError(RuntimeError):
    """The process of a learner has died, and cannot be replaced or was too often."""


class LearnersLostError(LearnerFailedError):
    """No learner is left that knows the networks; a checkpoint may."""


class ResourceError(RuntimeError):
    """More CPUs or GPUs are asked for than there are."""


def describe(error: BaseException) -> str:
    """An exception's message; before those that are not ours, their names."""
    ours = type(error).__module__ == __name__
    return str(error) if ours else f"{type(error).__name__}: {error}"


def unknown_name(what: str, name: str, valid: Iterable[str]) -> ConfigError:
    """Builds the error for a name that does not exist, naming the nearest that does.

    Args:
        what: What kind of thing the name stands for, e.g. ``"option"``.
        name: The name that was given; of one inside another, as in ``outer/inner``, the message
            says how it is written.
        valid: All names that exist.

    Returns:
        The error, ready to be raised.
    """
    names = sorted(valid)
    lower = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    outer, _, inner = name.replace(".", "/").partition("/")
    if inner and outer in names:
        hint = f"What is inside {outer!r} is nested: {{{outer!r}: {{{inner!r}: ...}}}}."
    elif near:
        hint = f"Did you mean {lower[near[0]]!r}?"
    elif len(names) <= _MOST_NAMES:
        hint = f"Valid: {', '.join(names)}."
    else:
        nearest = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.0)
        hint = f"The nearest of {len(names)}: {', '.join(lower[n] for n in nearest)}."
    return ConfigError(f"Unknown {what} {name!r}. {hint}")
