"""The manifest of a checkpoint: lists all files, to detect damage before anything is read.

``manifest.json`` is in the checkpoint's directory and written last. It has the size and the
checksum (XXH3, 128 bits) of every file, the version that wrote them, and the progress of training.

The manifest of an exported policy is its ``policy.json``, with SHA-256, which programs without this
package can compute.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from xxhash import xxh3_128, xxh3_128_hexdigest

from rllib_dreamerv3.checkpoints.files import (
    EXPORTED_CODE,
    EXPORTED_NETWORKS_FILE,
    NETWORKS_FILE,
    OPTIMIZER_FILE,
    POLICY_FILE,
)
from rllib_dreamerv3.checkpoints.untrusted import (
    count,
    parse_json,
    read_bytes,
    read_json,
    require_regular,
)
from rllib_dreamerv3.errors import CheckpointError

MANIFEST = "manifest.json"
FORMAT = "rllib_dreamerv3.checkpoint"
FORMAT_VERSION = 1

_PACKAGE = "rllib-dreamerv3"
_BLOCK_BYTES = 1 << 20
# Placeholder for the manifest's own checksum while that is computed.
_NO_CHECKSUM = "0" * 32

Digest = Callable[[], Any]


class File(NamedTuple):
    """Size of a file in bytes, and its checksum in hexadecimal."""

    size: int
    checksum: str


@dataclass(frozen=True)
class Manifest:
    """Content of a manifest.

    Attributes:
        format_version: Version of the layout of the files.
        package_version: Version of this package that wrote the checkpoint.
        created: Time of writing in UTC, as ISO 8601.
        env_steps: Env steps sampled so far.
        updates: Updates done so far.
        iteration: Results reported so far.
        files: Path below the directory, with "/" -> size and checksum.
    """

    format_version: int
    package_version: str
    created: str
    env_steps: int
    updates: int
    iteration: int
    files: dict[str, File]


def write(directory: Path, *, env_steps: int, updates: int, iteration: int = 0) -> Manifest:
    """Write the manifest of a complete directory.

    Raises:
        OSError: If a file cannot be read, or the manifest cannot be written.
    """
    names = sorted(_names_below(directory))
    with ThreadPoolExecutor(_threads()) as pool:
        files = pool.map(lambda name: _describe(directory / name), names)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        package_version=package_version(),
        created=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        env_steps=env_steps,
        updates=updates,
        iteration=iteration,
        files=dict(zip(names, files, strict=True)),
    )
    content = {"format": FORMAT, "checksum": _NO_CHECKSUM, **vars(manifest)}
    content["files"] = {name: file._asdict() for name, file in manifest.files.items()}
    text = json.dumps(content, indent=1) + "\n"
    text = text.replace(_NO_CHECKSUM, xxh3_128_hexdigest(text.encode()), 1)
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def read(directory: Path) -> Manifest:
    """Read a manifest, without verifying the listed files.

    Raises:
        CheckpointError: If the directory or manifest does not exist, is damaged, or was written by
            another version of the format.
    """
    if not directory.is_dir():
        raise CheckpointError(f"There is no directory {directory}.")
    if is_exported(directory):
        return _of_exported(directory)
    path = directory / MANIFEST
    try:
        text = read_bytes(path)
        content = parse_json(text)
    except FileNotFoundError:
        raise CheckpointError(
            f"{directory} is not a complete checkpoint of DreamerV3: it has no {MANIFEST}. Give "
            "the directory that save_to_path() returned, or a trial's checkpoint_* directory."
        ) from None
    except OSError as error:
        raise damaged(path, _unreadable(error)) from error
    except ValueError as error:
        raise damaged(path, f"it is not valid JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} does not describe a checkpoint of DreamerV3.")
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {content.get('format_version')!r}; this version of the "
            f"package reads {FORMAT_VERSION}. Restore it with {_PACKAGE} "
            f"{content.get('package_version')}."
        )
    checksum = str(content.get("checksum"))
    without = text.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)
    if xxh3_128_hexdigest(without) != checksum:
        raise damaged(path, "its checksum has changed since it was written")
    try:
        return _parse(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, _wrong_entry(error)) from error


def verify(directory: Path, only: Iterable[str] | None = None) -> Manifest:
    """Compare the files of a checkpoint with its manifest; ignore files that it does not list.

    Args:
        directory: The checkpoint.
        only: Paths of the files to verify, with "/"; None for all.

    Returns:
        The manifest.

    Raises:
        CheckpointError: If a file is missing or was changed; names the file.
    """
    manifest = read(directory)
    names = list(manifest.files if only is None else only)
    digest: Digest = hashlib.sha256 if is_exported(directory) else xxh3_128
    with ThreadPoolExecutor(_threads()) as pool:
        for problem in pool.map(lambda name: _problem(directory, name, manifest, digest), names):
            if problem is not None:
                raise problem
    return manifest


def is_checkpoint(directory: Path) -> bool:
    """Whether a directory is a checkpoint, complete or damaged."""
    if _format_of(directory / MANIFEST) == FORMAT:
        return True
    # The manifest may be damaged, lost, or not yet copied from another machine.
    return (directory / NETWORKS_FILE).is_file()


def is_exported(directory: Path) -> bool:
    """Whether a directory is an exported policy, complete or damaged."""
    # Imported here, because portable/ needs NumPy, and commands check options without it.
    from rllib_dreamerv3.portable.described import FORMAT as EXPORTED_FORMAT

    if _format_of(directory / POLICY_FILE) == EXPORTED_FORMAT:
        return True
    # Likewise.
    networks, code = directory / EXPORTED_NETWORKS_FILE, directory / EXPORTED_CODE
    return networks.is_file() and code.is_dir()


def is_shared(directory: Path) -> bool:
    """Whether a directory is a shared policy: a checkpoint that training cannot continue from."""
    if is_exported(directory):
        return False
    try:
        listed = read(directory).files
    except CheckpointError:
        return False
    return NETWORKS_FILE in listed and OPTIMIZER_FILE not in listed


def files_of_checkpoint(directory: Path) -> Collection[str] | None:
    """Names of all files that were written to a checkpoint; None for another directory.

    Raises:
        CheckpointError: If they are unknown, because the manifest is damaged.
    """
    if is_exported(directory) or not is_checkpoint(directory):
        return None
    return _listed_files(directory)


def files_of_exported(directory: Path) -> Collection[str] | None:
    """Likewise of an exported policy."""
    return _listed_files(directory) if is_exported(directory) else None


def files_of_shared(directory: Path) -> Collection[str] | None:
    """Names of all files that were written to a shared policy; None for another directory."""
    return _listed_files(directory) if is_shared(directory) else None


def _listed_files(directory: Path) -> Collection[str]:
    try:
        return {*read(directory).files, POLICY_FILE if is_exported(directory) else MANIFEST}
    except CheckpointError as error:
        raise CheckpointError(
            f"{directory} is not overwritten, since it is unknown which files in it are yours: "
            f"{error} Delete the directory, or choose another one."
        ) from error


def instead_of(directory: Path) -> str:
    """Return the advice for an unusable file of a checkpoint or exported policy."""
    return "Export the policy again." if is_exported(directory) else "Take an earlier checkpoint."


def damaged(path: Path, what: str, directory: Path | None = None) -> CheckpointError:
    """Build the error for a damaged file.

    Args:
        path: The file.
        what: The damage.
        directory: The file's checkpoint or exported policy; by default the file's directory.
    """
    advice = instead_of(directory or path.parent)
    return CheckpointError(f"{path} is damaged: {what}. {advice}")


def _format_of(path: Path) -> Any:
    """Return the format that a JSON file states; None if it cannot be read."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    return content.get("format") if isinstance(content, dict) else None


def _names_below(directory: Path) -> Iterable[str]:
    for folder, _, names in os.walk(directory):
        for name in names:
            yield Path(folder, name).relative_to(directory).as_posix()


def _of_exported(directory: Path) -> Manifest:
    from rllib_dreamerv3.portable.described import FORMAT_VERSION as EXPORTED_VERSION
    from rllib_dreamerv3.portable.described import read_described

    path = directory / POLICY_FILE
    if not path.is_file():
        raise CheckpointError(f"{path} is missing. {instead_of(directory)}")
    try:
        described = read_described(directory)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    try:
        files = _files(described["files"], "sha256")
        # Not in the list, but compared with the checksum in itself.
        files[POLICY_FILE] = _describe(path, hashlib.sha256)
        return Manifest(
            format_version=EXPORTED_VERSION,
            package_version=_text(described["package_version"], "package_version"),
            files=files,
            **_progress(described["checkpoint"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, _wrong_entry(error)) from error


def _describe(path: Path, digest: Digest = xxh3_128, most: float = math.inf) -> File:
    """Read a file, but not much more than the given number of bytes."""
    checksum, size = digest(), 0
    with open(path, "rb", buffering=0) as file:
        while size <= most and (block := file.read(_BLOCK_BYTES)):
            checksum.update(block)
            size += len(block)
    return File(size, checksum.hexdigest())


def _problem(
    directory: Path, name: str, manifest: Manifest, digest: Digest
) -> CheckpointError | None:
    path = directory / name
    expected = manifest.files.get(name)
    if expected is None:
        return damaged(directory / MANIFEST, f"it does not list {name}")
    try:
        size = require_regular(path)
        if size != expected.size:
            what = f"it has {size} bytes, but was written with {expected.size}"
            return damaged(path, what, directory)
        if _describe(path, digest, most=size) != expected:
            what = "its checksum has changed since it was written"
            return damaged(path, what, directory)
    except FileNotFoundError:
        return CheckpointError(f"{path} is missing. {instead_of(directory)}")
    except OSError as error:
        return damaged(path, _unreadable(error), directory)
    return None


def _parse(content: dict[str, Any]) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        package_version=_text(content["package_version"], "package_version"),
        files=_files(content["files"], "checksum"),
        **_progress(content),
    )


def _files(listed: Mapping[str, Any], checksum: str) -> dict[str, File]:
    files = {}
    for name, file in listed.items():
        if Path(name).is_absolute() or ".." in Path(name).parts or not _is_file_name(name):
            raise ValueError(f"{name!r} is not the name of a file in it")
        size = count(file["size"], f"the size of {name}")
        files[name] = File(size, _text(file[checksum], f"the checksum of {name}"))
    return files


def _is_file_name(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _progress(content: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: count(content[name], name) for name in ("env_steps", "updates", "iteration")}
    return {"created": _text(content["created"], "created"), **counts}


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is not text")
    return value


def _wrong_entry(error: Exception) -> str:
    return f"the entry {error} is missing" if isinstance(error, KeyError) else str(error)


def _unreadable(error: OSError) -> str:
    return f"it cannot be read ({error.strerror})"


def package_version() -> str:
    """Return the installed version of this package."""
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return "unknown"


def _threads() -> int:
    return min(4, os.cpu_count() or 1)
