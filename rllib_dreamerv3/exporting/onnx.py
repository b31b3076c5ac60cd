"""The format ``onnx``: for ONNX Runtime and all else that reads it."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from rllib_dreamerv3.exporting.requirements import require
from rllib_dreamerv3.exporting.step import ExportedStep

NAME = "onnx"
FILE = "model.onnx"
# The newest that tf2onnx writes without restrictions.
OPSET = 17


def write(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes the step as ``model.onnx``.

    Returns:
        What ``policy.json`` says of the model.

    Raises:
        ExportError: If tf2onnx is not installed.
    """
    tf2onnx = require("tf2onnx", NAME)
    # It hands the specifications over by position.
    names = list(step.inputs)
    function = tf.function(
        lambda *inputs: step.function(**dict(zip(names, inputs, strict=True))), autograph=False
    )
    tf2onnx.convert.from_function(
        function,
        input_signature=list(step.inputs.values()),
        opset=OPSET,
        output_path=str(directory / FILE),
    )
    return {NAME: {"path": FILE}}
