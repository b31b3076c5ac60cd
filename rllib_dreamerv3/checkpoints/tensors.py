"""Arrays by name in one file, in the safetensors format: plain bytes behind a JSON header."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rllib_dreamerv3.checkpoints.manifest import damaged
from rllib_dreamerv3.errors import CheckpointError


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to a file, whose directory is created.

    Raises:
        CheckpointError: An array is not finite. Nothing is written then.
        OSError: The disk is full, or writing is not allowed.
    """
    require_finite(arrays, f"{path} was not written")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def load(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a file.

    Raises:
        CheckpointError: The file is missing or damaged, or holds numbers that are not finite.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing. Take an earlier checkpoint.")
    try:
        arrays: dict[str, np.ndarray] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    require_finite(arrays, f"{path} was not loaded")
    return arrays


def require_finite(arrays: Mapping[str, np.ndarray], consequence: str) -> None:
    """Raises CheckpointError, naming the array, if a number is infinite or no number."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(
                f"{name!r} is not finite: training has diverged. {consequence}; go on from an "
                "earlier checkpoint."
            )
