"""An extension of Griffe: docstrings as the page about the API shows them.

Methods of the config get their options from the table of options when Python imports them. Griffe
reads source without importing it, so they get them here once more.
"""

import inspect
import re
import textwrap
from typing import Any

import griffe

from rllib_dreamerv3.options import table
from rllib_dreamerv3.options.docstrings import with_options

_ROLE = re.compile(r":(?:attr|class|func|meth|mod):`~?([^`]+)`")


class SiteDocstrings(griffe.Extension):
    """Add what decorators add, and write Markdown where Sphinx has marks of its own."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of everything that has one."""
        if obj.docstring is None:
            return
        text = obj.docstring.value
        if isinstance(obj, griffe.Function):
            text = _with_decorators(obj, text)
        # Griffe knows the section by its plural.
        text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
        obj.docstring.value = _ROLE.sub(r"`\1`", text)


def _with_decorators(function: griffe.Function, text: str) -> str:
    """A docstring with the options that ``with_options(...)`` puts before its arguments."""
    for decorator in function.decorators:
        call = decorator.value
        if not isinstance(call, griffe.ExprCall) or str(call.function) != with_options.__name__:
            continue
        groups = [
            group
            for argument in call.arguments
            if not isinstance(argument, griffe.ExprKeyword)
            for group in _groups(str(argument))
        ]

        def method(self: Any, **kwargs: Any) -> None: ...

        method.__doc__ = textwrap.indent(text, " " * 8)
        text = inspect.cleandoc(with_options(*groups, unset=None)(method).__doc__ or "")
        # Options have plain text, in which Markdown would take <update> for HTML.
        text = text.replace("<", "&lt;")
    return text


def _groups(argument: str) -> list[type]:
    """The groups of options that an argument of the decorator stands for."""
    value = getattr(table, argument.removeprefix("*"))
    return list(value) if argument.startswith("*") else [value]
