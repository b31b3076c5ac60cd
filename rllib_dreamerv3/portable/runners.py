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

from .operations import check_operations

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
    path = str(models[name]["path"])
    _verify(directory, path, described["files"])
    return _RUNNERS[name](directory / path)


def _verify(directory: Path, path: str, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Compares the files of a model, at a path or below it, with their checksums."""
    model = _inside(directory, path)
    below = model.rglob("*") if model.is_dir() else [model]
    # What runs the model may read them all, whether they are listed or not.
    there = [each for each in below if each.is_symlink() or not each.is_dir()]
    names = {each.relative_to(directory).as_posix() for each in there}
    names |= {name for name in files if name.startswith(f"{path}/")}
    for name in sorted(names):
        file = _inside(directory, name)
        if name not in files:
            raise ValueError(f"{file} is not among the files that {directory} was exported with.")
        if file.exists() and not file.is_file():
            raise ValueError(f"{file} is not a regular file.")
        try:
            found = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise ValueError(f"{file} cannot be read: {error}") from error
        if found != files[name]["sha256"]:
            raise ValueError(f"{file} is damaged: export the policy again.")


def _inside(directory: Path, path: str) -> Path:
    """The path of a file in a folder; raises ValueError if it, or a link, leads out of it."""
    found = directory / path
    if not found.resolve().is_relative_to(directory.resolve()) or ".." in Path(path).parts:
        raise ValueError(f"{found} leads out of {directory}: it is no exported policy.")
    return found


def _needs(module: str, distribution: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"This model needs {distribution}: pip install {distribution}") from error


def _savedmodel(path: Path) -> Run:
    tf = _needs("tensorflow", "tensorflow")
    messages = _needs("tensorflow.core.protobuf.saved_model_pb2", "tensorflow")
    check_operations(path, messages.SavedModel())
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
