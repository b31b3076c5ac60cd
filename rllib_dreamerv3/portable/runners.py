"""Runtimes of the model formats: functions of named arrays that return named arrays.

Inputs: the columns of the observation, ``action_mask`` if there is one, ``is_first``, the state
``h``, ``index`` and ``action``, and the random numbers ``latent_noise`` and ``action_noise``.
Outputs: ``next_h``, ``next_index``, and the action vectors ``sample`` and ``mode``. All have an
axis of N environments in front.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], Arrays]


def open_runner(directory: Path, described: Mapping[str, Any], format: str | None) -> Run:
    """Opens a model of an exported policy.

    Args:
        directory: The folder of the policy.
        described: Its ``policy.json``.
        format: Format of the model; None for the first.

    Returns:
        The function that runs it.

    Raises:
        ValueError: If there is no such model, or its files are damaged.
        ImportError: If its runtime is not installed; names the package to install.
    """
    models = {name: model for name, model in described["models"].items() if name in _RUNNERS}
    name = format or next(iter(models), "")
    if name not in models:
        known = ", ".join(models) or "none that this version supports"
        raise ValueError(f"{directory} has no model {name!r}; its models: {known}.")
    path = directory / models[name]["path"]
    _verify(directory, models[name]["path"], described["files"])
    return _RUNNERS[name](path)


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
        raise ImportError(f"This model needs {distribution}: pip install {distribution}") from error


def _savedmodel(path: Path) -> Run:
    tf = _needs("tensorflow", "tensorflow")
    # The closure keeps the model: its variables live as long as it does.
    model = tf.saved_model.load(str(path))

    def run(inputs: Arrays) -> Arrays:
        step = model.signatures["serving_default"]
        outputs = step(**{name: tf.constant(x) for name, x in inputs.items()})
        return {name: x.numpy() for name, x in outputs.items()}

    return run


def _litert(path: Path) -> Run:
    interpreter = _needs("ai_edge_litert.interpreter", "ai-edge-litert")
    # The closure keeps the model: the signature's runner does not.
    model = interpreter.Interpreter(str(path))
    step = model.get_signature_runner()

    def run(inputs: Arrays) -> Arrays:
        return dict(step(**inputs))

    return run


def _onnx(path: Path) -> Run:
    onnxruntime = _needs("onnxruntime", "onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


_RUNNERS: dict[str, Callable[[Path], Run]] = {
    "savedmodel": _savedmodel,
    "litert": _litert,
    "onnx": _onnx,
}
