"""Inputs and expected numbers of `test_vectors.json`, for tests in every folder.

Tests say ``from vectors import case``; pytest has this folder on its path.
"""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """One entry of the file.

    Attributes:
        inputs: By name. Lists of numbers are NumPy arrays, float32 unless all are integers.
        expected: By name, likewise but float64.
        rtol: Relative tolerance for a float32 implementation.
        atol: Absolute tolerance; tests of small numbers need a smaller one.
    """

    inputs: dict[str, Any]
    expected: dict[str, Any]
    rtol: float
    atol: float


def case(case_id: str) -> Case:
    """Looks up an entry, e.g. ``inputs, expected, rtol, atol = case("symlog")``."""
    entries, default = _file()
    if case_id not in entries:
        raise KeyError(f"No test vector {case_id!r}; there are {', '.join(entries)}.")
    entry = entries[case_id]
    tolerance = {**default, **entry.get("tolerance", {})}
    return Case(
        _arrays(entry["inputs"], np.float32),
        _arrays(entry["expected"], np.float64),
        tolerance["rtol"],
        tolerance["atol"],
    )


def fill(shape: tuple[int, ...] | int, s: float) -> np.ndarray:
    """Weights that the file describes as ``fill(shape, s)``, float32."""
    return (0.5 * np.sin(0.7 * np.arange(np.prod(shape)) + s)).reshape(shape).astype(np.float32)


@functools.cache
def _file() -> tuple[dict[str, dict], dict[str, float]]:
    content = json.loads(Path(__file__).with_name("test_vectors.json").read_text())
    return {entry["id"]: entry for entry in content["cases"]}, content["default_tolerance"]


def _arrays(value: Any, floats: type) -> Any:
    """Turns lists of numbers, and the file's short form of long vectors, into arrays."""
    if isinstance(value, dict):
        if "set" in value:
            size = value["n"] if "n" in value else value["zeros"]
            vector = np.full(size, value.get("fill", 0.0), floats)
            for index, number in value["set"].items():
                vector[int(index)] = number
            return vector
        return {name: _arrays(item, floats) for name, item in value.items()}
    if isinstance(value, list):
        try:
            array = np.array(value)
        except ValueError:  # Lists of different lengths, such as shapes.
            return value
        if array.dtype.kind == "f":
            return array.astype(floats)
        if array.dtype.kind == "i":
            return array
        return [_arrays(item, floats) for item in value]
    return value
