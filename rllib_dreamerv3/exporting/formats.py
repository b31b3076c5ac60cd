"""The formats of exported policies: ``savedmodel``, ``litert`` and ``onnx``, all in float32."""

import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.exporting.step import ExportedStep

EXTRA = "rllib-dreamerv3[export]"
SAVEDMODEL = "savedmodel"


def write_savedmodel(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Write the step as ``savedmodel/``, with the signature ``serving_default``.

    Returns:
        The model's entry in ``policy.json``.
    """
    module = tf.Module()
    module.networks = step.networks
    signature = step.function.get_concrete_function(**step.inputs)
    tf.saved_model.save(module, str(directory / SAVEDMODEL), signatures=signature)
    return {SAVEDMODEL: {"path": SAVEDMODEL}}


LITERT = "litert"
LITERT_FILE = "model.tflite"


def write_litert(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Write the step as ``model.tflite``, with builtin operations only.

    Returns:
        The model's entry in ``policy.json``.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = directory / SAVEDMODEL
        if not source.is_dir():  # It exists if that format is exported too.
            source = Path(temporary, SAVEDMODEL)
            write_savedmodel(step, Path(temporary))
        converter = tf.lite.TFLiteConverter.from_saved_model(str(source))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        (directory / LITERT_FILE).write_bytes(converter.convert())
    return {LITERT: {"path": LITERT_FILE}}


ONNX = "onnx"
ONNX_FILE = "model.onnx"
# The newest that tf2onnx writes without restrictions.
OPSET = 17


def write_onnx(step: ExportedStep, directory: Path) -> dict[str, Any]:
    """Write the step as ``model.onnx``.

    Returns:
        The model's entry in ``policy.json``.

    Raises:
        ExportError: If tf2onnx is not installed.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise ExportError(
            f"The format {ONNX!r} needs tf2onnx, which cannot be imported ({error}). Install it "
            f"with: pip install '{EXTRA}'"
        ) from error
    # tf2onnx passes the inputs by position.
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
