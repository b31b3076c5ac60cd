"""Shortens the import of large libraries."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Turn garbage collection off inside the block.

    TensorFlow and RLlib create a million objects that stay. Searching these again and again for
    garbage takes a fifth of the import's time.
    """
    was_enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.disable()
    try:
        yield
    finally:
        # Moves all objects to the oldest generation, which is searched least. Objects that were
        # frozen before stay so.
        if not frozen:
            gc.freeze()
            gc.unfreeze()
        if was_enabled:
            gc.enable()


@contextmanager
def hidden(*modules: str) -> Iterator[None]:
    """Let modules that are not imported yet appear to be missing inside the block."""
    missing = [name for name in modules if name not in sys.modules]
    # The import system raises ModuleNotFoundError for these.
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]
