"""The format ``savedmodel``: TensorFlow's own, for TensorFlow, TensorFlow Serving and C++."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from rllib_dreamerv3.exporting.step import ExportedStep

NAME = "savedmodel"


def write(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes the step as ``savedmodel/``, with the signature ``serving_default``.

    Returns:
        What ``policy.json`` says of the model.
    """
    module = tf.Module()
    module.networks = step.networks
    signature = step.function.get_concrete_function(**step.inputs)
    tf.saved_model.save(module, str(directory / NAME), signatures=signature)
    return {NAME: {"path": NAME}}
