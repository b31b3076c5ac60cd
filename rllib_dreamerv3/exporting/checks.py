"""What can be said against an export before anything is loaded, TensorFlow above all."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from gymnasium.spaces import Box

from rllib_dreamerv3.checkpoints import manifest, policy_file
from rllib_dreamerv3.checkpoints.directory import refuse_foreign
from rllib_dreamerv3.checkpoints.files import POLICY_FILE
from rllib_dreamerv3.checkpoints.manifest import is_exported
from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.portable.described import read_described
from rllib_dreamerv3.spaces.action_masks import split_action_mask
from rllib_dreamerv3.spaces.images import is_image
from rllib_dreamerv3.spaces.nesting import paths
from rllib_dreamerv3.spaces.space_json import space_from_json

WITHOUT_IMAGES = "numpy"


def check_export(checkpoint: Path, out: Path, formats: Sequence[str]) -> None:
    """Refuses exports that cannot be.

    Args:
        checkpoint: A checkpoint, or a policy that was exported.
        out: Folder to write; its parents are created.
        formats: Of the models.

    Raises:
        CheckpointError: If ``policy.json`` of the checkpoint is damaged, or ``out`` holds something
            else than an exported policy.
        ExportError: If ``out`` cannot be written, or a format cannot take this policy.
    """
    parent = out.resolve().parent
    try:
        refuse_foreign(out, is_exported)
        parent.mkdir(parents=True, exist_ok=True)
        # Permissions do not tell: file systems can be full, or read-only, or take no files at all.
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{out.name}."):
            pass
    except OSError as error:
        raise ExportError(
            f"{out} cannot be written: {error.strerror}. Choose another directory."
        ) from error
    if WITHOUT_IMAGES in formats and _has_images(checkpoint):
        raise ExportError(
            f"The format {WITHOUT_IMAGES!r} has no convolutions, and this policy sees images. Take "
            "another format, such as 'litert'."
        )


def _has_images(checkpoint: Path) -> bool:
    manifest.verify(checkpoint, only=[POLICY_FILE])
    policy = policy_file.read(checkpoint)
    if policy.observation_space is None:
        return False  # Whoever reads more of it says how old it is.
    try:
        space = space_from_json(policy.observation_space)
        observed, _ = split_action_mask(space, policy.options["action_mask_key"])
    except (KeyError, TypeError, ValueError) as error:
        raise manifest.damaged(checkpoint / POLICY_FILE, str(error)) from error
    return any(isinstance(part, Box) and is_image(part) for _, part in paths(observed))


def formats_there(out: Path) -> list[str]:
    """Which models an exported policy has by now, that writing to its folder would replace.

    Args:
        out: A folder, which may hold something else, or not be there.

    Returns:
        Names in ``policy.json``; none where it cannot be read.
    """
    try:
        return list(read_described(out)["models"])
    except (ValueError, KeyError, TypeError):
        return []
