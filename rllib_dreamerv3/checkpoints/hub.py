"""Shared policies in repositories of the Hugging Face hub.

Only the plain files of a policy are transferred, in both directions. Other files of a repository,
such as pickles, are not downloaded.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from rllib_dreamerv3.checkpoints.card import CARD_FILE, README_FILE
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE, POLICY_FILE, REPLAY_DIRECTORY
from rllib_dreamerv3.checkpoints.manifest import MANIFEST
from rllib_dreamerv3.errors import CheckpointError

POLICY_FILES = [
    MANIFEST,
    POLICY_FILE,
    NETWORKS_FILE,
    f"{REPLAY_DIRECTORY}/index.json",
    f"{REPLAY_DIRECTORY}/*.npy",
]
"""Patterns of all files that are downloaded."""

UPLOADED_FILES = [*POLICY_FILES, CARD_FILE, README_FILE]
"""Patterns of all files that are uploaded."""

# A path that went through pathlib has only one slash after the scheme.
_ADDRESS = re.compile(r"hf://?(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def is_address(path: str) -> bool:
    """Whether a path begins like an address; it may still be invalid."""
    return path.startswith("hf:/")


def download(address: str) -> Path:
    """Download a policy, unless the hub's cache on this machine has it.

    Args:
        address: ``hf://owner/name``, or ``hf://owner/name@revision`` for a branch, tag or commit.

    Returns:
        Its directory in the cache.

    Raises:
        CheckpointError: If the address is invalid, the hub does not have it or cannot be reached,
            or huggingface_hub is not installed.
    """
    repository, revision = _parse(address)
    with _problems_of(address):
        from huggingface_hub import snapshot_download

        found = snapshot_download(repository, revision=revision, allow_patterns=POLICY_FILES)
    return Path(found)


def upload(directory: Path, address: str, *, private: bool) -> str:
    """Upload a shared policy and its card; create the repository if there is none.

    Args:
        directory: The policy.
        address: See :func:`download`; a revision must be an existing branch.
        private: Whether a new repository is private.

    Returns:
        The web address of the upload.

    Raises:
        CheckpointError: As for :func:`download`, or if you are not logged in.
    """
    repository, revision = _parse(address)
    with _problems_of(address):
        from huggingface_hub import HfApi

        hub = HfApi()
        hub.create_repo(repository, private=private, exist_ok=True)
        return str(
            hub.upload_folder(
                repo_id=repository,
                revision=revision,
                folder_path=directory,
                allow_patterns=UPLOADED_FILES,
                commit_message="Upload a policy of DreamerV3",
            )
        )


def _parse(address: str) -> tuple[str, str | None]:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise CheckpointError(
            f"{address!r} is not the address of a policy on the Hugging Face hub: write "
            "hf://owner/name, or hf://owner/name@revision."
        )
    return found["repository"], found["revision"]


@contextlib.contextmanager
def _problems_of(address: str) -> Iterator[None]:
    """Turn all errors of the hub's library into CheckpointError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{address} needs the package huggingface_hub: pip install 'rllib-dreamerv3[hub]' (in "
            "a clone of the repository: pip install -e '.[hub]')."
        ) from error
    # Its errors are OSError or ValueError, and those of the HTTP library that it uses.
    except Exception as error:
        raise CheckpointError(f"{address} cannot be reached: {error}") from error
