"""YAML as experiment files are written in: plain data, each key once."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rllib_cli.errors import InputError, describe


class _Loader(yaml.SafeLoader):
    """YAML without Python objects, but with ``3e-4`` as the number that it looks like."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(file: Path) -> Any:
    """Reads a YAML file, which executes nothing.

    Args:
        file: The file.

    Returns:
        What it holds.

    Raises:
        InputError: If it cannot be read, is not YAML, or has a key twice, of which YAML would
            drop the first without a word; with the line.
    """
    try:
        loader = _Loader(file.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            for what, line, before in _repeated(node):
                raise InputError(
                    f"{file}, line {line}: {what} is there twice, first on line {before}, and only "
                    "one of them could count. Remove or rename one."
                )
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(exc, "problem", None) or str(exc)
        raise InputError(f"{file}{where}: not valid YAML ({what}).") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{file} cannot be read: {describe(exc)}") from exc


def _repeated(top: yaml.Node | None) -> Iterator[tuple[str, int, int]]:
    """What is said twice, the line of the second time and that of the first."""
    waiting, seen = [top], set()
    while waiting:
        node = waiting.pop()
        # An anchor's node is reached from every place that refers to it.
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    if key.value in lines:
                        kind = "experiment" if node is top else "key"
                        yield f"the {kind} {key.value!r}", line, lines[key.value]
                    lines[key.value] = line
