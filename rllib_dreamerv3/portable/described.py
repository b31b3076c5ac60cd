"""``policy.json`` of an exported policy: JSON that holds its own checksum."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = "rllib_dreamerv3.exported_policy"
FORMAT_VERSION = 2
POLICY_FILE = "policy.json"

_CHECKSUM = "checksum"
# Stands in the file in place of its own checksum while that is computed.
_NO_CHECKSUM = "0" * 64


def described_as_text(described: Mapping[str, Any]) -> str:
    """What :func:`read_described` reads: JSON with a ``checksum``, the SHA-256 of all of it."""
    content = {_CHECKSUM: _NO_CHECKSUM, **described}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    return text.replace(_NO_CHECKSUM, hashlib.sha256(text.encode()).hexdigest(), 1)


def read_described(directory: Path) -> dict[str, Any]:
    """Reads what an exported policy says of itself.

    Args:
        directory: The folder.

    Returns:
        The content of ``policy.json``, without its checksum.

    Raises:
        ValueError: If the file is missing or damaged, or describes something else.
    """
    path = directory / POLICY_FILE
    # Reading a pipe would wait, and a device may never end.
    if not path.is_file():
        raise ValueError(f"There is no {path.name} in {directory}: it is no exported policy.")
    try:
        data = path.read_bytes()
        described = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise ValueError(
            f"{directory} is no policy that was exported: {path.name} does not say so."
        )
    if described.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {described.get('format_version')!r}; this policy_io reads "
            f"{FORMAT_VERSION}. Take the policy_io that lies beside it, or export the policy again."
        )
    checksum = str(described.pop(_CHECKSUM, ""))
    without = data.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)
    if hashlib.sha256(without).hexdigest() != checksum:
        raise _damaged(path, "it has another checksum than when it was written")
    return described


def _damaged(path: Path, what: str) -> ValueError:
    return ValueError(f"{path} is damaged: {what}. Export the policy again.")
