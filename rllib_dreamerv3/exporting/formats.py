"""The formats of exported policies: ``savedmodel``, ``litert``, ``onnx`` and ``numpy``.

LiteRT uses builtin operations alone. It has two models: one in float32, and one whose large kernels
are int8 (dynamic range: activations stay float32), with how far it is from the other.
"""

import importlib
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from rllib_dreamerv3.checkpoints.files import EXPORTED_NETWORKS_FILE
from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.exporting.checks import WITHOUT_IMAGES
from rllib_dreamerv3.exporting.difference import measure_difference
from rllib_dreamerv3.exporting.step import ExportedStep
from rllib_dreamerv3.portable.runners import litert_runner

EXTRA = "rllib-dreamerv3[export]"


def require(module: str, format: str) -> Any:
    """Imports a module that a format needs.

    Raises:
        ExportError: If it is not installed; names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExportError(
            f"The format {format!r} needs {module.partition('.')[0]}, which cannot be imported "
            f"({error}). Install it with: pip install '{EXTRA}'"
        ) from error


SAVEDMODEL = "savedmodel"


def write_savedmodel(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes the step as ``savedmodel/``, with the signature ``serving_default``.

    Returns:
        What ``policy.json`` says of the model.
    """
    module = tf.Module()
    module.networks = step.networks
    signature = step.function.get_concrete_function(**step.inputs)
    tf.saved_model.save(module, str(directory / SAVEDMODEL), signatures=signature)
    return {SAVEDMODEL: {"path": SAVEDMODEL}}


LITERT, INT8_NAME = "litert", "litert_int8"
LITERT_FILE, INT8_FILE = "model.tflite", "model_int8.tflite"


def write_litert(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes the step as ``model.tflite`` and ``model_int8.tflite``.

    Returns:
        What ``policy.json`` says of both models.

    Raises:
        ExportError: If ai-edge-litert, which measures the difference, is not installed.
    """
    require("ai_edge_litert.interpreter", LITERT)
    with tempfile.TemporaryDirectory() as temporary:
        source = directory / SAVEDMODEL
        if not source.is_dir():  # As it is if that format has been asked for, too.
            source = Path(temporary, SAVEDMODEL)
            write_savedmodel(step, Path(temporary))
        for name, optimizations in ((LITERT_FILE, []), (INT8_FILE, [tf.lite.Optimize.DEFAULT])):
            converter = tf.lite.TFLiteConverter.from_saved_model(str(source))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            converter.optimizations = optimizations
            (directory / name).write_bytes(converter.convert())
    exact, rounded = (litert_runner(directory / name) for name in (LITERT_FILE, INT8_FILE))
    difference = measure_difference(step, exact, rounded)
    return {LITERT: {"path": LITERT_FILE}, INT8_NAME: {"path": INT8_FILE, "difference": difference}}


ONNX = "onnx"
ONNX_FILE = "model.onnx"
# The newest that tf2onnx writes without restrictions.
OPSET = 17


def write_onnx(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes the step as ``model.onnx``.

    Returns:
        What ``policy.json`` says of the model.

    Raises:
        ExportError: If tf2onnx is not installed.
    """
    tf2onnx = require("tf2onnx", ONNX)
    # It hands the specifications over by position.
    names = list(step.inputs)
    function = tf.function(
        lambda *inputs: step.function(**dict(zip(names, inputs, strict=True))), autograph=False
    )
    tf2onnx.convert.from_function(
        function,
        input_signature=list(step.inputs.values()),
        opset=OPSET,
        output_path=str(directory / ONNX_FILE),
    )
    return {ONNX: {"path": ONNX_FILE}}


def write_numpy(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Writes nothing: ``networks.safetensors`` is there, and what computes with it is copied.

    Returns:
        What ``policy.json`` says of the model.
    """
    return {WITHOUT_IMAGES: {"path": EXPORTED_NETWORKS_FILE}}
