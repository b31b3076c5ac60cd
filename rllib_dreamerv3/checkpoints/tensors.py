"""Arrays by name in one file, in the safetensors format: plain bytes behind a JSON header."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rllib_dreamerv3.checkpoints.manifest import damaged, instead_of, is_exported
from rllib_dreamerv3.errors import CheckpointError

_GO_ON = "go on from an earlier checkpoint"


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to a file, whose directory is created.

    Raises:
        CheckpointError: An array is not finite. Nothing is written then.
        OSError: The disk is full, or writing is not allowed.
    """
    require_finite(arrays, f"{path} was not written")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Safetensors puts a file in its place that only its owner may read; this one has the mode that
    # files here usually get.
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    path.chmod(mode)


def load(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a file.

    Raises:
        CheckpointError: The file is missing or damaged, or holds numbers that are not finite.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing. {instead_of(path.parent)}")
    try:
        arrays: dict[str, np.ndarray] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    alone = is_exported(path.parent)
    advice = "export the policy of an earlier checkpoint" if alone else _GO_ON
    require_finite(arrays, f"{path} was not loaded", advice)
    return arrays


def require_finite(
    arrays: Mapping[str, np.ndarray], consequence: str, advice: str = _GO_ON
) -> None:
    """Raises CheckpointError, naming the array, if a number is infinite or no number."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(
                f"{name!r} is not finite: training has diverged. {consequence}; {advice}."
            )
