"""Exceptions. Their messages say what is wrong, where, and what to do about it."""

import difflib
from collections.abc import Iterable

# Display limit.
_MAX_NAMES = 16
# Less similar names are not suggested: clip_range is not a misspelt clip_rewards.
_MIN_SIMILARITY = 0.65


class ConfigError(ValueError):
    """An option is unknown, out of range, or contradicts another one."""


class SpaceError(ValueError):
    """A space, or a part of one, that is not supported."""


class EnvironmentDataError(ValueError):
    """An environment returned invalid values, such as NaN, which must not enter replay."""


class EnvironmentFailedError(RuntimeError):
    """An environment, or the process that steps it, failed, or failed too often."""


class RepeatedFailuresError(EnvironmentFailedError):
    """An environment failed more often in a row than is tolerated, however often recreated."""


class CallbackFailedError(RuntimeError):
    """A callback of the user's raised an exception in an env runner."""


class CheckpointError(ValueError):
    """A directory is not a checkpoint, or not one that can be restored here."""


class DataError(ValueError):
    """Recorded data is missing or damaged, or does not fit the environment."""


class ExportError(ValueError):
    """A policy cannot be exported in a format, or not with the installed packages."""


class TrainingDivergedError(RuntimeError):
    """A loss or a gradient is not finite."""


class LearnerFailedError(RuntimeError):
    """A learner process cannot be started, or has died too often."""


class LearnersLostError(LearnerFailedError):
    """All learners have died; networks and optimizers must come from a checkpoint."""


class ResourceError(RuntimeError):
    """More CPUs or GPUs are requested than there are."""


def describe(error: BaseException) -> str:
    """Return an exception's message, with its class name unless it is defined here."""
    ours = type(error).__module__ == __name__
    return str(error) if ours else f"{type(error).__name__}: {error}"


def unknown_name(what: str, name: str, valid: Iterable[str]) -> ConfigError:
    """Build the error for an unknown name.

    Args:
        what: Kind of the name, e.g. ``"option"``.
        name: The given name.
        valid: All valid names.
    """
    return ConfigError(f"Unknown {what} {name!r}. {suggestion(name, valid)}")


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return a sentence that names the valid name which is probably meant.

    Args:
        name: The given name. For a nested one, as in ``outer/inner``, the sentence shows the
            syntax.
        valid: All valid names.
    """
    names = sorted(valid)
    lower = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=_MIN_SIMILARITY)
    outer, _, inner = name.replace(".", "/").partition("/")
    if inner and outer in names:
        return f"Options of {outer!r} are nested: {{{outer!r}: {{{inner!r}: ...}}}}."
    if near:
        return f"Did you mean {lower[near[0]]!r}?"
    if len(names) <= _MAX_NAMES:
        return f"Valid: {', '.join(names)}."
    return "No valid name is similar."
