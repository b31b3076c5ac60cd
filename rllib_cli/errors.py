"""Errors that end the command with a message instead of a traceback."""

import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from rllib_dreamerv3.errors import unknown_name


class InputError(click.ClickException):
    """A wrong file, option or config."""

    exit_code = 2


class RunError(click.ClickException):
    """A failure at run time."""

    exit_code = 1


def unknown(what: str, name: str, valid: Iterable[str]) -> InputError:
    """Build the error for an unknown name; name the nearest valid one.

    Args:
        what: Kind of name, e.g. ``"option"``.
        name: The unknown name.
        valid: All valid names.

    Returns:
        The error to raise.
    """
    return InputError(str(unknown_name(what, name, valid)))


@contextmanager
def reraise_as(error: type[click.ClickException], verbosity: int) -> Iterator[None]:
    """Convert exceptions inside the block to errors with a message.

    Args:
        error: Type of the error to raise instead.
        verbosity: From 1, also print the traceback.

    Yields:
        Nothing.

    Raises:
        click.ClickException: For any exception; click's own pass unchanged.
    """
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as exc:
        if verbosity:
            traceback.print_exc()
        raise error(describe(exc)) from exc


def describe(exc: BaseException | str) -> str:
    """Format the message of an exception's root cause.

    Args:
        exc: Any exception; Ray's wrappers around exceptions of other processes are removed. Or a
            message, which is all that Tune keeps of a process that died.

    Returns:
        The message; preceded by the exception's type unless that is one of ours or ValueError.
    """
    root = exc if isinstance(exc, str) else root_cause(exc)
    # Ray appends the last output of a process that died, which is also in the log.
    text = str(root).partition("Traceback (most")[0].strip()
    if used := re.search(r"Memory on the node .* was (\S+) used / (\S+) limit", text):
        return (
            f"Ray killed a process because the machine ran out of memory: {used[1]} of {used[2]} "
            "were used. Lower capacity_bytes in replay_buffer_config, or stop other programs; "
            "`rllib doctor` estimates what a run needs."
        )
    if isinstance(root, str):
        return text
    name = type(root).__name__
    if not text:
        return _message_in_traceback(str(exc)) or name
    # Our own errors are complete sentences; a bare KeyError or OSError is not.
    ours = type(root).__module__.startswith("rllib_") or type(root) is ValueError
    return text if ours else f"{name}: {text}"


def root_cause(exc: BaseException) -> BaseException:
    """Unwrap an exception that Ray transferred from another process."""
    while True:
        inner = getattr(exc, "cause", None)
        if not isinstance(inner, BaseException) and exc.args:
            # An actor that died in its constructor has the reason as its argument.
            inner = exc.args[0]
        if not isinstance(inner, BaseException) or inner is exc:
            return exc
        exc = inner


def _message_in_traceback(text: str) -> str | None:
    """The last message of a traceback and the line that raised it.

    RLlib reports environment errors with an empty exception, and causes of exceptions are lost
    between processes; their text is not.
    """
    chain = re.split(r"\n\n(?:The above exception was|During handling of).*\n\n", text)
    for block in reversed(chain):
        message = re.split(r"^[ \t].*\n", block, flags=re.MULTILINE)[-1].strip()
        places = re.findall(r'^  File "(.+)", line (\d+)', block, flags=re.MULTILINE)
        if ": " in message and places:
            file, line = places[-1]
            return f"{message}\n({file}, line {line})"
    return None
