"""Writes the folder of an exported policy: models, description, networks, Python code."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rllib_dreamerv3 import portable
from rllib_dreamerv3.agent.networks.saved import (
    mismatch_as_checkpoint_error,
    read_saved_networks,
    read_weights,
)
from rllib_dreamerv3.checkpoints import manifest, tensors
from rllib_dreamerv3.checkpoints.directory import replacing
from rllib_dreamerv3.checkpoints.files import EXPORTED_CODE, EXPORTED_NETWORKS_FILE, POLICY_FILE
from rllib_dreamerv3.checkpoints.manifest import files_of_exported
from rllib_dreamerv3.exporting import formats as write_as
from rllib_dreamerv3.exporting.checks import check_folder
from rllib_dreamerv3.exporting.description import describe
from rllib_dreamerv3.exporting.readme import README_FILE, readme
from rllib_dreamerv3.exporting.step import ExportedStep, make_step
from rllib_dreamerv3.portable.described import described_as_text

_WRITERS: dict[str, Callable[[ExportedStep, Path], dict[str, Any]]] = {
    write_as.SAVEDMODEL: write_as.write_savedmodel,
    write_as.LITERT: write_as.write_litert,
    write_as.ONNX: write_as.write_onnx,
}


def export_policy(checkpoint: Path, out: Path, formats: Sequence[str]) -> dict[str, Any]:
    """Export the policy of a checkpoint. No code from it is executed.

    Args:
        checkpoint: A checkpoint, or an exported policy.
        out: Folder to write; an earlier export is replaced completely, other files are kept.
        formats: Some of :data:`rllib_dreamerv3.exporting.FORMATS`.

    Returns:
        ``policy.json`` of the folder.

    Raises:
        CheckpointError: If the checkpoint is damaged, or ``out`` contains something else.
        ExportError: If the converter of a format is not installed, or ``out`` is not writable.
    """
    check_folder(out)
    saved, listed = read_saved_networks(checkpoint), manifest.read(checkpoint)
    weights = read_weights(checkpoint)
    with mismatch_as_checkpoint_error(checkpoint):
        step = make_step(saved, weights)
    with replacing(out, files_of_exported) as folder:
        described = describe(saved, listed)
        # load_policy() also needs the critic.
        acting = [*step.networks.named_variables(), *(x for x in weights if _of_critic(x))]
        tensors.save(folder / EXPORTED_NETWORKS_FILE, {name: weights[name] for name in acting})
        described["models"] = {}
        for name in dict.fromkeys(formats):
            described["models"] |= _WRITERS[name](step, folder)
        _copy_portable(folder)
        (folder / README_FILE).write_text(readme(described), encoding="utf-8")
        described["files"] = _checksums(folder)
        (folder / POLICY_FILE).write_text(described_as_text(described), encoding="utf-8")
    return described


def _of_critic(name: str) -> bool:
    return name.startswith("critic/")


def _copy_portable(folder: Path) -> None:
    target = folder / EXPORTED_CODE
    target.mkdir()
    for source in Path(portable.__path__[0]).glob("*.py"):
        shutil.copyfile(source, target / source.name)


def _checksums(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file."""
    return {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
