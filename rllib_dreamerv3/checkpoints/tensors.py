"""Named arrays in one file, in the safetensors format: plain bytes after a JSON header."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from rllib_dreamerv3.checkpoints.manifest import damaged, instead_of, is_exported
from rllib_dreamerv3.errors import CheckpointError

# Those that NumPy has itself, by their names in the header.
_DTYPES = {"BOOL", "U8", "I8", "U16", "I16", "F16", "U32", "I32", "F32", "U64", "I64", "F64"}
_ADVICE = "continue from an earlier checkpoint"


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a file, whose directory is created.

    Raises:
        CheckpointError: If an array is not finite. Nothing is written then.
        OSError: If the disk is full, or writing is not permitted.
    """
    require_finite(arrays, f"{path} was not written")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Safetensors creates a file that only its owner may read; use the default mode instead.
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    path.chmod(mode)


def load(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file.

    Raises:
        CheckpointError: If the file is missing or damaged, or has numbers that are not finite.
    """
    check(path)
    try:
        arrays: dict[str, np.ndarray] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    alone = is_exported(path.parent)
    advice = "export the policy of an earlier checkpoint" if alone else _ADVICE
    require_finite(arrays, f"{path} was not loaded", advice)
    return arrays


def check(path: Path) -> None:
    """Raise CheckpointError if a file is missing, or its header is not one that can be loaded."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing. {instead_of(path.parent)}")
    try:
        with safe_open(path, "numpy") as file:
            dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    for name, dtype in dtypes.items():
        if dtype not in _DTYPES:
            raise damaged(path, f"{name!r} has the dtype {dtype}")


def require_finite(
    arrays: Mapping[str, np.ndarray], consequence: str, advice: str = _ADVICE
) -> None:
    """Raise CheckpointError, naming the array, if a number is infinite or NaN."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(
                f"{name!r} is not finite: training has diverged. {consequence}; {advice}."
            )
