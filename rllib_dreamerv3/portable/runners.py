"""What runs the model of each format: a function of named arrays that returns named arrays.

Inputs: the columns of the observation, ``action_mask`` where there is one, ``is_first``, the state
``h``, ``index`` and ``action``, and the random numbers ``latent_noise`` and ``action_noise``.
Outputs: ``next_h``, ``next_index``, and the action vectors ``sample`` and ``mode``. All have an
axis of N environments in front.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .networks import Arrays, NumpyPolicy, read_safetensors

Run = Callable[[Arrays], Arrays]


def open_runner(directory: Path, described: Mapping[str, Any], format: str | None) -> Run:
    """Opens a model of a folder.

    Args:
        directory: The folder.
        described: Its ``policy.json``.
        format: Which of its models; None for the first.

    Returns:
        What runs it.

    Raises:
        ValueError: If there is no such model, or its files are damaged.
        ImportError: If what runs it is not installed; says what to install.
    """
    models = described["models"]
    name = format or next(iter(models))
    if name not in models:
        raise ValueError(f"{directory} has no model {name!r}, but {', '.join(models)}.")
    path = directory / models[name]["path"]
    _verify(directory, models[name]["path"], described["files"])
    return _RUNNERS[name](path, described)


def _verify(directory: Path, path: str, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Compares the files of a model, at a path or below it, with their checksums."""
    for name, expected in files.items():
        if name == path or name.startswith(f"{path}/"):
            try:
                found = hashlib.sha256((directory / name).read_bytes()).hexdigest()
            except OSError as error:
                raise ValueError(f"{directory / name} cannot be read: {error}") from error
            if found != expected["sha256"]:
                raise ValueError(f"{directory / name} is damaged: export the policy again.")


def _needs(module: str, distribution: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"To run this model, {distribution} is needed: pip install {distribution}"
        ) from error


def _savedmodel(path: Path, described: Mapping[str, Any]) -> Run:
    tf = _needs("tensorflow", "tensorflow")
    # Held as a whole: its variables live as long as it does.
    model = tf.saved_model.load(str(path))

    def run(inputs: Arrays) -> Arrays:
        step = model.signatures["serving_default"]
        outputs = step(**{name: tf.constant(x) for name, x in inputs.items()})
        return {name: x.numpy() for name, x in outputs.items()}

    return run


def litert_runner(path: Path) -> Run:
    """Runs a model of LiteRT, once known as TensorFlow Lite."""
    interpreter = _needs("ai_edge_litert.interpreter", "ai-edge-litert")
    # Held as a whole: the signature's runner does not keep it.
    model = interpreter.Interpreter(str(path))
    step = model.get_signature_runner()

    def run(inputs: Arrays) -> Arrays:
        return dict(step(**inputs))

    return run


def _litert(path: Path, described: Mapping[str, Any]) -> Run:
    return litert_runner(path)


def _onnx(path: Path, described: Mapping[str, Any]) -> Run:
    onnxruntime = _needs("onnxruntime", "onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


def _numpy(path: Path, described: Mapping[str, Any]) -> Run:
    return NumpyPolicy(described, read_safetensors(path))


_RUNNERS: dict[str, Callable[[Path, Mapping[str, Any]], Run]] = {
    "savedmodel": _savedmodel,
    "litert": _litert,
    "litert_int8": _litert,
    "numpy": _numpy,
    "onnx": _onnx,
}
