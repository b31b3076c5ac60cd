"""Packages that only some formats need."""

import importlib
from typing import Any

from rllib_dreamerv3.errors import ExportError

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
