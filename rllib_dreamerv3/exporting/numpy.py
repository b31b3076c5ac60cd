"""The format ``numpy``: the parameters alone, for small policies of vectors and classes."""

from pathlib import Path
from typing import Any

from rllib_dreamerv3.checkpoints.files import EXPORTED_NETWORKS_FILE
from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.exporting.step import ExportedStep
from rllib_dreamerv3.spaces.layout import Image

NAME = "numpy"


def write(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes nothing: ``networks.safetensors`` is there, and what computes with it is copied.

    Returns:
        What ``policy.json`` says of the model.

    Raises:
        ExportError: If the policy sees images.
    """
    if any(isinstance(leaf, Image) for leaf in step.leaves.values()):
        raise ExportError(
            f"The format {NAME!r} has no convolutions, and this policy sees images. Take another "
            "format, such as 'litert'."
        )
    return {NAME: {"path": EXPORTED_NETWORKS_FILE}}
