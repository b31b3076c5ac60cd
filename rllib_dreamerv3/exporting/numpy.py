"""The format ``numpy``: the parameters alone, for small policies of vectors and classes."""

from pathlib import Path
from typing import Any

from rllib_dreamerv3.checkpoints.files import EXPORTED_NETWORKS_FILE
from rllib_dreamerv3.exporting.checks import WITHOUT_IMAGES
from rllib_dreamerv3.exporting.step import ExportedStep

NAME = WITHOUT_IMAGES


def write(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes nothing: ``networks.safetensors`` is there, and what computes with it is copied.

    Returns:
        What ``policy.json`` says of the model.
    """
    return {NAME: {"path": EXPORTED_NETWORKS_FILE}}
