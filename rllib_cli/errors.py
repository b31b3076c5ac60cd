"""What ends the command with a message instead of a traceback."""

import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from rllib_dreamerv3.errors import unknown_name


class InputError(click.ClickException):
    """A file, option or config that cannot be used as given."""

    exit_code = 2


class RunError(click.ClickException):
    """Something failed while running."""

    exit_code = 1


def unknown(what: str, name: str, valid: Iterable[str]) -> InputError:
    """Builds the error for a name that does not exist, naming the nearest that does.

    Args:
        what: What kind of thing the name stands for, e.g. ``"option"``.
        name: The name that was given.
        valid: All names that exist.

    Returns:
        The error, ready to be raised.
    """
    return InputError(str(unknown_name(what, name, valid)))


@contextmanager
def told_as(error: type[click.ClickException], verbosity: int) -> Iterator[None]:
    """Turns exceptions inside the block into one message.

    Args:
        error: What to raise in their place.
        verbosity: From 1 on, the traceback is printed too.

    Yields:
        Nothing.

    Raises:
        click.ClickException: In place of any exception; those of click are let through.
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
    """The message of the exception in which the trouble began.

    Args:
        exc: Any exception; Ray's wrappers around those of other processes are taken off. Words are
            returned as they are: all that Tune keeps of a process that died.

    Returns:
        The message, after the exception's name unless that only says "wrong value".
    """
    root = exc if isinstance(exc, str) else root_cause(exc)
    # Ray appends the last output of a process that died; the log has it too.
    text = str(root).partition("Traceback (most")[0].strip()
    if used := re.search(r"Memory on the node .* was (\S+) used / (\S+) limit", text):
        return (
            f"Ray ended a process because the machine ran out of memory: {used[1]} of {used[2]} "
            "were used. Lower capacity_bytes in replay_buffer_config, or run less beside it; "
            "`rllib doctor` says what a run needs."
        )
    if isinstance(root, str):
        return text
    name = type(root).__name__
    if not text:
        return _told_in_traceback(str(exc)) or name
    # Our own errors are complete sentences; a bare KeyError or OSError is not.
    ours = type(root).__module__.startswith("rllib_") or type(root) is ValueError
    return text if ours else f"{name}: {text}"


def root_cause(exc: BaseException) -> BaseException:
    """Takes off what Ray wraps around an exception that was raised in another process."""
    while True:
        inner = getattr(exc, "cause", None)
        if not isinstance(inner, BaseException) and exc.args:
            # An actor that died while it was made carries the reason as its argument.
            inner = exc.args[0]
        if not isinstance(inner, BaseException) or inner is exc:
            return exc
        exc = inner


def _told_in_traceback(text: str) -> str | None:
    """The message nearest to the end of a traceback, and where it was raised.

    RLlib answers errors of environments with an exception that says nothing, and the causes of
    exceptions get lost between processes, but not the text.
    """
    chain = re.split(r"\n\n(?:The above exception was|During handling of).*\n\n", text)
    for block in reversed(chain):
        message = re.split(r"^[ \t].*\n", block, flags=re.MULTILINE)[-1].strip()
        places = re.findall(r'^  File "(.+)", line (\d+)', block, flags=re.MULTILINE)
        if ": " in message and places:
            file, line = places[-1]
            return f"{message}\n({file}, line {line})"
    return None
