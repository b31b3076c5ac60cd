"""The format ``litert``: TensorFlow Lite's, for phones and small boards.

Only builtin operations are used. There are two models: one in float32, and one whose large kernels
are int8 (dynamic range: activations stay float32), with how far it is from the other.
"""

import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from rllib_dreamerv3.exporting import savedmodel
from rllib_dreamerv3.exporting.difference import measure_difference
from rllib_dreamerv3.exporting.requirements import require
from rllib_dreamerv3.exporting.step import ExportedStep
from rllib_dreamerv3.policy_io.runners import litert_runner

NAME, INT8_NAME = "litert", "litert_int8"
FILE, INT8_FILE = "model.tflite", "model_int8.tflite"


def write(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes the step as ``model.tflite`` and ``model_int8.tflite``.

    Returns:
        What ``policy.json`` says of both models.

    Raises:
        ExportError: If ai-edge-litert, which measures the difference, is not installed.
    """
    require("ai_edge_litert.interpreter", NAME)
    with tempfile.TemporaryDirectory() as temporary:
        source = directory / savedmodel.NAME
        if not source.is_dir():  # As it is if that format has been asked for, too.
            source = Path(temporary, savedmodel.NAME)
            savedmodel.write(step, Path(temporary))
        for name, optimizations in ((FILE, []), (INT8_FILE, [tf.lite.Optimize.DEFAULT])):
            converter = tf.lite.TFLiteConverter.from_saved_model(str(source))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            converter.optimizations = optimizations
            (directory / name).write_bytes(converter.convert())
    exact, rounded = (litert_runner(directory / name) for name in (FILE, INT8_FILE))
    difference = measure_difference(step, exact, rounded)
    return {NAME: {"path": FILE}, INT8_NAME: {"path": INT8_FILE, "difference": difference}}
