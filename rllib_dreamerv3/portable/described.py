"""``policy.json`` of an exported policy: JSON that holds its own checksum."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORMAT = "rllib_dreamerv3.exported_policy"
FORMAT_VERSION = 2
POLICY_FILE = "policy.json"

_CHECKSUM = "checksum"
# Placeholder of the checksum while it is computed.
_NO_CHECKSUM = "0" * 64


def described_as_text(described: Mapping[str, Any]) -> str:
    """Return the JSON for :func:`read_described`, with its SHA-256 as ``checksum``."""
    content = {_CHECKSUM: _NO_CHECKSUM, **described}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    return text.replace(_NO_CHECKSUM, hashlib.sha256(text.encode()).hexdigest(), 1)


def read_described(directory: Path) -> dict[str, Any]:
    """Read the description of an exported policy.

    Args:
        directory: The folder of the policy.

    Returns:
        The content of ``policy.json``, without its checksum.

    Raises:
        ValueError: If the file is missing, damaged, or not of an exported policy.
    """
    path = directory / POLICY_FILE
    # Reading a pipe would wait, and a device may never end.
    if not path.is_file():
        raise ValueError(f"{directory} is not an exported policy: it has no {path.name}.")
    try:
        data = path.read_bytes()
        described = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise ValueError(
            f"{directory} is not an exported policy: the format of {path.name} is not {FORMAT}."
        )
    if described.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format {described.get('format_version')!r}; this version reads format "
            f"{FORMAT_VERSION}. Use the policy_io/ folder exported with it, or export the policy "
            "again."
        )
    checksum = str(described.pop(_CHECKSUM, ""))
    without = data.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)
    if hashlib.sha256(without).hexdigest() != checksum:
        raise _damaged(path, "its checksum does not match")
    return described


@contextmanager
def damage_reported(directory: Path) -> Iterator[None]:
    """Report whatever fails inside as damage of the ``policy.json`` of a folder.

    A checksum does not say that the description makes sense: anybody can compute one.

    Raises:
        ValueError: For any exception.
    """
    try:
        yield
    except Exception as error:
        missing = isinstance(error, KeyError)
        what = f"it has no {error}" if missing else str(error) or type(error).__name__
        raise _damaged(directory / POLICY_FILE, what.removesuffix(".")) from error


def _damaged(path: Path, what: str) -> ValueError:
    return ValueError(f"{path} is damaged: {what}. Export the policy again.")
