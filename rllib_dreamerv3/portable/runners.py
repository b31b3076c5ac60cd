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
from typing import Any, NamedTuple

import numpy as np

from .described import damage_reported
from .operations import check_operations

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], Arrays]


class Model(NamedTuple):
    """An opened model.

    Attributes:
        run: Runs one step.
        inputs: Shape of each input, without the axis of environments.
    """

    run: Run
    inputs: dict[str, tuple[int, ...]]


def open_model(directory: Path, described: Mapping[str, Any], format: str | None) -> Model:
    """Open a model of an exported policy.

    Args:
        directory: The folder of the policy.
        described: Its ``policy.json``.
        format: Format of the model; None for the first.

    Returns:
        The model.

    Raises:
        ValueError: If there is no such model, or its files or ``policy.json`` are damaged.
        ImportError: If its runtime is not installed; names the package to install.
    """
    with damage_reported(directory):
        models = {
            name: str(model["path"])
            for name, model in described["models"].items()
            if name in _RUNNERS
        }
        checksums = {file: str(each["sha256"]) for file, each in described["files"].items()}
    name = format or next(iter(models), "")
    if name not in models:
        known = ", ".join(models) or "none that this version supports"
        raise ValueError(f"{directory} has no model {name!r}; its models: {known}.")
    _verify(directory, models[name], checksums)
    return _RUNNERS[name](directory / models[name])


def _verify(directory: Path, path: str, checksums: Mapping[str, str]) -> None:
    """Compare the files of a model, at a path or below it, with their checksums."""
    model = _inside(directory, path)
    with damage_reported(directory):
        below = model.rglob("*") if model.is_dir() else [model]
    # What runs the model may read them all, whether they are listed or not.
    there = [each for each in below if each.is_symlink() or not each.is_dir()]
    names = {each.relative_to(directory).as_posix() for each in there}
    names |= {name for name in checksums if name.startswith(f"{path}/")}
    for name in sorted(names):
        file = _inside(directory, name)
        if name not in checksums:
            raise ValueError(f"{file} is not among the files that {directory} was exported with.")
        if file.exists() and not file.is_file():
            raise ValueError(f"{file} is not a regular file.")
        try:
            found = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise ValueError(f"{file} cannot be read: {error}") from error
        if found != checksums[name]:
            raise ValueError(f"{file} is damaged: export the policy again.")


def _inside(directory: Path, path: str) -> Path:
    """The path of a file in a folder; raises ValueError if it, or a link, leads out of it."""
    found = directory / path
    # A null byte is in no file's name, for example.
    with damage_reported(directory):
        inside = found.resolve().is_relative_to(directory.resolve())
    if not inside or ".." in Path(path).parts:
        raise ValueError(f"{found} leads out of {directory}: it is no exported policy.")
    return found


def _needs(module: str, distribution: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"This model needs {distribution}: pip install {distribution}") from error


def _savedmodel(path: Path) -> Model:
    tf = _needs("tensorflow", "tensorflow")
    messages = _needs("tensorflow.core.protobuf.saved_model_pb2", "tensorflow")
    check_operations(path, messages.SavedModel())
    # The closure keeps the model: its variables live as long as it does.
    model = tf.saved_model.load(str(path))
    if "serving_default" not in model.signatures:
        raise ValueError(f"{path} has no signature 'serving_default': it is no exported policy.")

    def run(inputs: Arrays) -> Arrays:
        step = model.signatures["serving_default"]
        outputs = step(**{name: tf.constant(x) for name, x in inputs.items()})
        return {name: x.numpy() for name, x in outputs.items()}

    specs = model.signatures["serving_default"].structured_input_signature[1]
    return Model(run, {name: tuple(x.shape[1:]) for name, x in specs.items()})


def _litert(path: Path) -> Model:
    interpreter = _needs("ai_edge_litert.interpreter", "ai-edge-litert")
    # The closure keeps the model: the signature's runner does not.
    model = interpreter.Interpreter(str(path))
    step = model.get_signature_runner()

    def run(inputs: Arrays) -> Arrays:
        return dict(step(**inputs))

    details = step.get_input_details()
    return Model(run, {name: tuple(x["shape"][1:].tolist()) for name, x in details.items()})


def _onnx(path: Path) -> Model:
    onnxruntime = _needs("onnxruntime", "onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return Model(run, {x.name: tuple(x.shape[1:]) for x in session.get_inputs()})


_RUNNERS: dict[str, Callable[[Path], Model]] = {
    "savedmodel": _savedmodel,
    "litert": _litert,
    "onnx": _onnx,
}
