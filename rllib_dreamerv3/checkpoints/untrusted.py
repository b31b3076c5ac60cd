"""Reads files that anybody may have made: no wait, no endless read, no error of a parser's own."""

import errno
import json
import stat
import sys
from pathlib import Path
from typing import Any


def require_regular(path: Path) -> int:
    """Return the size of a file in bytes. Links are followed.

    Reading a pipe may wait, and a device may never end.

    Raises:
        OSError: If there is none, or it is a directory, pipe, socket or device.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return found.st_size


def read_bytes(path: Path) -> bytes:
    """Read a regular file.

    Raises:
        OSError: If it cannot be read.
    """
    require_regular(path)
    return path.read_bytes()


def parse_json(data: bytes) -> Any:
    """Parse JSON whose numbers are finite.

    Raises:
        ValueError: If it is not such JSON, or is nested too deeply for Python.
    """
    try:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """Read a JSON file, see :func:`parse_json`.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not valid.
    """
    return parse_json(read_bytes(path))


def count(value: object, what: str) -> int:
    """Return a value that counts something.

    Raises:
        ValueError: If it is not an integer of 0 to 2^63 - 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{what} is {_shortened(value)}, not a count")
    return value


def number(value: object, what: str) -> float:
    """Return a finite number.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not _is_finite(value):
        raise ValueError(f"{what} is {_shortened(value)}, not a finite number")
    return value


def _is_finite(value: float) -> bool:
    return abs(value) <= sys.float_info.max


def _finite(text: str) -> float:
    value = float(text)
    if not _is_finite(value):
        _refuse(text)
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not a finite number")


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."
