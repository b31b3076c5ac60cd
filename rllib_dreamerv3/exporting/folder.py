"""Writes the folder of an exported policy: models, description, networks, how to act."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rllib_dreamerv3 import portable
from rllib_dreamerv3.agent.networks.saved import read_saved_networks, read_weights, weights_told
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
FORMATS = tuple(_WRITERS)


def export_policy(checkpoint: Path, out: Path, formats: Sequence[str]) -> dict[str, Any]:
    """Exports the policy of a checkpoint. Nothing of it is executed or unpickled.

    Args:
        checkpoint: A checkpoint, or a policy that was exported.
        out: Folder to write; what was exported to it before is replaced as a whole;
            files of others are kept.
        formats: Some of :data:`FORMATS`.

    Returns:
        ``policy.json`` of the folder.

    Raises:
        CheckpointError: If the checkpoint is damaged, or ``out`` holds something else.
        ExportError: If what writes a format is not installed, or ``out`` cannot be written.
    """
    check_folder(out)
    saved, told = read_saved_networks(checkpoint), manifest.read(checkpoint)
    weights = read_weights(checkpoint)
    with weights_told(checkpoint):
        step = make_step(saved, weights)
    with replacing(out, files_of_exported) as folder:
        described = describe(saved, told)
        # With the critic, so that load_policy() finds all that it needs.
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
