"""The table of options in docstrings and signatures of a config's methods."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

from rllib_dreamerv3.options.option import Option, options_of

_INDENT = " " * 12
_Method = TypeVar("_Method", bound=Callable[..., Any])


def with_options(*groups: type, unset: Any) -> Callable[[_Method], _Method]:
    """Give a method of the config the signature and documentation of its options.

    Args:
        *groups: Groups of the table that the method sets. The method's docstring has to have an
            ``Args:`` section, before whose entries those of the options are put.
        unset: What stands for an option that is not given.

    Returns:
        A decorator.
    """

    def decorate(method: _Method) -> _Method:
        rows = options_of(*groups).values()
        head, _, tail = (method.__doc__ or "").partition("Args:\n")
        entries = "".join(_entry(row) for row in rows)
        method.__doc__ = f"{head}Args:\n{entries}{tail}"
        signature = inspect.signature(method)
        given = list(signature.parameters.values())
        options = [
            inspect.Parameter(
                row.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=unset,
                annotation=row.kind | None if row.optional or row.is_late else row.kind,
            )
            for row in rows
        ]
        method.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*given[:-1], *options, given[-1]]
        )
        return method

    return decorate


def _entry(row: Option) -> str:
    """What a docstring's ``Args:`` say about an option."""
    may_be = row.words[0].upper() + row.words[1:] + unit_text(row)
    text = f"{row.name}: {row.sentence} {may_be}. Default: {default_text(row)}.".replace("`", "")
    lines = textwrap.wrap(text, 100, initial_indent=_INDENT, subsequent_indent=_INDENT + " " * 4)
    return "\n".join(lines) + "\n"


def default_text(row: Option) -> str:
    """An option's default, or those of both variants."""
    if row.v1 == row.v2:
        return value_text(row, row.v1)
    return f"v1: {value_text(row, row.v1)}, v2: {value_text(row, row.v2)}"


def value_text(row: Option, value: Any) -> str:
    """A value of an option as Markdown."""
    if value is None:
        return "`None`"
    if isinstance(value, bool | str | dict):
        return f"`{value!r}`"
    if row.name == "gamma":
        return "1 - 1/333"
    if isinstance(value, int):
        return f"{value:_}" if value >= 10_000 else str(value)
    return f"{value:g}".replace("e-0", "e-")


def unit_text(row: Option) -> str:
    """What follows the values that an option may have: its unit, if it has one."""
    return f", in {row.unit}" if row.unit else ""
